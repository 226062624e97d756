//go:build tools

// The stock commands that are built from this module as they are.
package main

import _ "k8s.io/kubernetes/cmd/kubectl"
