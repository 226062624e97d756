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

{{/* Metadata that every object has below its name: extconn.metadata (dict "root" $ "component" "operator") */}}
{{- define "extconn.metadata" -}}
labels:
  {{- include "extconn.labels" . | nindent 2 }}
{{- with .root.Values.extraAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Labels by which the operator's Deployment knows its pods: they can never change. */}}
{{- define "extconn.operatorSelector" -}}
app.kubernetes.io/name: extconn
app.kubernetes.io/component: operator
{{- end }}

{{/* Labels by which the pods of all forwarders are known; the operator sets them. */}}
{{- define "extconn.forwarderSelector" -}}
app.kubernetes.io/name: extconn-forwarder
app.kubernetes.io/component: forwarder
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

{{/* What the operator adds to forwarders' pods, as one JSON object; empty if nothing. */}}
{{- define "extconn.forwarderPod" -}}
{{- $forwarder := .Values.forwarder -}}
{{- $pod := dict -}}
{{- with merge (dict) $forwarder.podLabels .Values.extraLabels }}{{ $_ := set $pod "labels" . }}{{ end -}}
{{- with merge (dict) $forwarder.podAnnotations .Values.extraAnnotations }}{{ $_ := set $pod "annotations" . }}{{ end -}}
{{- range $field := list "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" "priorityClassName" -}}
{{- with index $forwarder $field }}{{ $_ := set $pod $field . }}{{ end -}}
{{- end -}}
{{- with $forwarder.resources -}}
{{- $resources := dict -}}
{{- range $kind, $quantities := . -}}
{{- $texts := dict -}}
{{- range $name, $quantity := $quantities }}{{ $_ := set $texts $name (toString $quantity) }}{{ end -}}
{{- $_ := set $resources $kind $texts -}}
{{- end -}}
{{- $_ := set $pod "resources" $resources -}}
{{- end -}}
{{- if $pod }}{{ toJson $pod }}{{ end -}}
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
