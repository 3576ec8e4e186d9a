{{- define "pullgate.fullname" -}}
{{- if .Values.fullnameOverride -}}{{ .Values.fullnameOverride }}
{{- else if contains "pullgate" .Release.Name -}}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}{{ printf "%s-pullgate" .Release.Name | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- define "pullgate.labels" -}}
app.kubernetes.io/name: pullgate
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The labels by which a component is selected. They never change, because selectors cannot change. */}}
{{- define "pullgate.selector" -}}
app.kubernetes.io/name: pullgate
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "pullgate.image" -}}
{{- if .Values.image.digest -}}{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* "true" if the proxy runs on each node. */}}
{{- define "pullgate.onEachNode" -}}
{{- if has .Values.proxy.exposure.mode (list "hostPort" "hostNetwork") -}}true{{- end -}}
{{- end -}}

{{/* "true" if an object of the operator is wanted: dict root, setting, kind. */}}
{{- define "pullgate.wanted" -}}
{{- if eq .setting "on" -}}true
{{- else if and (eq .setting "auto") (.root.Capabilities.APIVersions.Has (printf "monitoring.coreos.com/v1/%s" .kind)) -}}true
{{- end -}}
{{- end -}}

{{- define "pullgate.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "pullgate.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "pullgate.probes" -}}
livenessProbe:
  httpGet:
    path: /livez
    port: admin
  periodSeconds: 10
  failureThreshold: 6
readinessProbe:
  httpGet:
    path: /readyz
    port: admin
  periodSeconds: 5
  failureThreshold: 2
{{- end -}}

{{/* Keys of a pod that a workload's values may set. */}}
{{- define "pullgate.scheduling" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* Mounts and volumes that the configuration names: its file, credentials, authorities. */}}
{{- define "pullgate.configMounts" -}}
- name: config
  mountPath: /etc/pullgate
  readOnly: true
{{- range $id, $_ := .Values.credentials }}
- name: credentials-{{ $id }}
  mountPath: /etc/pullgate-credentials/{{ $id }}
  readOnly: true
{{- end }}
{{- range $id, $_ := .Values.authorities }}
- name: authority-{{ $id }}
  mountPath: /etc/pullgate-authorities/{{ $id }}
  readOnly: true
{{- end }}
{{- if .Values.proxy.tls.existingSecret }}
- name: tls
  mountPath: /etc/pullgate-tls
  readOnly: true
{{- end }}
{{- end -}}

{{- define "pullgate.configVolumes" -}}
- name: config
  configMap:
    name: {{ include "pullgate.fullname" . }}
{{- $fullname := include "pullgate.fullname" . }}
{{- range $id, $from := .Values.credentials }}
- name: credentials-{{ $id }}
  secret:
    secretName: {{ $from.existingSecret | default (printf "%s-credentials-%s" $fullname $id) }}
{{- end }}
{{- range $id, $from := .Values.authorities }}
- name: authority-{{ $id }}
  configMap:
    name: {{ $from.configMap }}
{{- end }}
{{- with .Values.proxy.tls.existingSecret }}
- name: tls
  secret:
    secretName: {{ . }}
{{- end }}
{{- end -}}

{{/* The address of the mirror on nodes; "NODE" stands for the node's own address. */}}
{{- define "pullgate.mirror" -}}
{{- $e := .Values.proxy.exposure -}}
{{- $scheme := ternary "https" "http" (ne .Values.proxy.tls.existingSecret "") -}}
{{- if eq $e.mode "clusterIP" -}}{{ $scheme }}://{{ $e.clusterIP }}:{{ int $e.port }}
{{- else if eq $e.mode "nodePort" -}}{{ $scheme }}://NODE:{{ int $e.nodePort }}
{{- else if eq $e.mode "hostNetwork" -}}{{ $scheme }}://127.0.0.1:{{ int $e.port }}
{{- else if eq $e.mode "hostPort" -}}{{ $scheme }}://NODE:{{ int $e.port }}
{{- end -}}
{{- end -}}
