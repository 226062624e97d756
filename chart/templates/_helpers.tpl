{{/* Namespace of everything that extconn runs and makes. */}}
{{- define "extconn.namespace" -}}
{{- .Values.connectorNamespace.name -}}
{{- end }}

{{/* Labels of every object: extconn.labels (dict "root" $ "component" "operator") */}}
{{- define "extconn.labels" -}}
app.kubernetes.io/name: extconn
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/part-of: extconn
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- with .root.Values.extraLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Labels by which the operator's Deployment knows its pods: they can never change. */}}
{{- define "extconn.operatorSelector" -}}
app.kubernetes.io/name: extconn
app.kubernetes.io/component: operator
{{- end }}

{{/* An image reference: extconn.image (dict "root" $ "image" .Values.operator.image) */}}
{{- define "extconn.image" -}}
{{- $name := .image.repository -}}
{{- if .image.registry }}{{ $name = printf "%s/%s" .image.registry $name }}{{ end -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (.image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end }}

{{/* Pod and container settings of the Pod Security standard "restricted". */}}
{{- define "extconn.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}
{{- define "extconn.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}
