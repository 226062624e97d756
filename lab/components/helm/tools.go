//go:build tools

// Package tools pins the stock helm, which is built as it is.
package tools

import _ "helm.sh/helm/v4/cmd/helm"
