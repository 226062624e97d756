//go:build tools

// Package tools pins the real krew and its validator, by which the manifest and archives are
// tested.
package tools

import (
	_ "sigs.k8s.io/krew/cmd/krew"
	_ "sigs.k8s.io/krew/cmd/validate-krew-manifest"
)
