{{/* TOML of a table: dict path (of its header), table. Helm's own toToml writes whole numbers as 50.0, which pullgate refuses. */}}
{{- define "pullgate.toml.table" -}}
{{- $path := .path -}}
{{- range $key, $value := .table }}
{{- if not (or (kindIs "map" $value) (eq "true" (include "pullgate.toml.isTables" $value))) }}
{{ $key }} = {{ include "pullgate.toml.value" $value }}
{{- end }}
{{- end }}
{{- range $key, $value := .table }}
{{- $header := ternary $key (printf "%s.%s" $path $key) (eq $path "") }}
{{- if kindIs "map" $value }}

[{{ $header }}]
{{- include "pullgate.toml.table" (dict "path" $header "table" $value) }}
{{- else if eq "true" (include "pullgate.toml.isTables" $value) }}
{{- range $value }}

[[{{ $header }}]]
{{- include "pullgate.toml.table" (dict "path" $header "table" .) }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* "true" for a list of tables only. */}}
{{- define "pullgate.toml.isTables" -}}
{{- if and (kindIs "slice" .) . -}}
{{- $all := true -}}
{{- range . }}{{ if not (kindIs "map" .) }}{{ $all = false }}{{ end }}{{ end -}}
{{- $all -}}
{{- end -}}
{{- end -}}

{{- define "pullgate.toml.value" -}}
{{- if kindIs "map" . -}}
{ {{ range $index, $key := keys . | sortAlpha }}{{ if $index }}, {{ end }}{{ $key | toJson }} = {{ include "pullgate.toml.value" (get $ $key) }}{{ end }} }
{{- else if kindIs "slice" . -}}
[{{ range $index, $item := . }}{{ if $index }}, {{ end }}{{ include "pullgate.toml.value" $item }}{{ end }}]
{{- else if kindIs "string" . -}}{{ toJson . }}
{{- else if kindIs "bool" . -}}{{ . }}
{{- else -}}{{ int64 . }}
{{- end -}}
{{- end -}}

{{/* The configuration: the values, and what pods depend on. */}}
{{- define "pullgate.config" -}}
{{- $proxy := .Values.proxy -}}
{{- $config := deepCopy .Values.config -}}
{{- $pause := int $proxy.preStopSeconds -}}
{{- $drain := sub (int $proxy.terminationGracePeriodSeconds) (add $pause 10) -}}
{{- $own := dict
  "proxy" (dict "listen" (printf "0.0.0.0:%d" (include "pullgate.registryPort" . | int)) "drain" (printf "%ds" $drain) "cache" (dict "dir" "/var/lib/pullgate"))
  "admin" (dict "listen" (printf "0.0.0.0:%d" (int $proxy.exposure.adminPort))) -}}
{{- if $proxy.tls.existingSecret -}}
{{- $_ := set $own.proxy "tls" (dict "cert" "/etc/pullgate-tls/tls.crt" "key" "/etc/pullgate-tls/tls.key") -}}
{{- end -}}
{{- $upstreams := dict -}}
{{- range $id, $_ := .Values.credentials -}}
{{- $_ := set $upstreams $id (dict "credentials" (dict "docker_config" (printf "/etc/pullgate-credentials/%s/.dockerconfigjson" $id))) -}}
{{- end -}}
{{- range $id, $from := .Values.authorities -}}
{{- $_ := set $upstreams $id (merge (dict "ca_file" (printf "/etc/pullgate-authorities/%s/%s" $id ($from.key | default "ca.crt"))) (get $upstreams $id | default dict)) -}}
{{- end -}}
{{- if $upstreams -}}{{- $_ := set $own "upstreams" $upstreams -}}{{- end -}}
{{- if ne .Values.prober.discovery.mode "off" -}}
{{- $kubernetes := dict "discover" .Values.prober.discovery.mode "secrets" .Values.prober.discovery.secrets -}}
{{- with .Values.prober.discovery.namespaces -}}{{- $_ := set $kubernetes "namespaces" . -}}{{- end -}}
{{- $_ := set $own "kubernetes" $kubernetes -}}
{{- end -}}
{{- include "pullgate.toml.table" (dict "path" "" "table" (mergeOverwrite $config $own)) | trimPrefix "\n" -}}
{{- end -}}

{{/* The port on which the proxy listens: with hostNetwork it is the node's. */}}
{{- define "pullgate.registryPort" -}}
{{- if eq .Values.proxy.exposure.mode "hostNetwork" -}}{{ int .Values.proxy.exposure.port }}{{- else -}}5000{{- end -}}
{{- end -}}
