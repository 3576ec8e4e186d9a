{{/* Values that contradict each other. Each message begins with the key. */}}
{{- define "pullgate.refuse" -}}
{{- $e := .Values.proxy.exposure -}}
{{- if and (eq $e.mode "nodePort") (eq (int $e.nodePort) 0) -}}
{{- fail "proxy.exposure.nodePort: mode nodePort needs a fixed port (30000 to 32767), because the files on nodes contain it" -}}
{{- end -}}
{{- if and (ne $e.mode "nodePort") (ne (int $e.nodePort) 0) -}}
{{- fail (printf "proxy.exposure.nodePort: is set, but proxy.exposure.mode is %s, which has no such port" $e.mode) -}}
{{- end -}}
{{- if and (eq $e.mode "clusterIP") (not $e.clusterIP) -}}
{{- fail "proxy.exposure.clusterIP: mode clusterIP needs a fixed address in the Service range, because nodes cannot resolve cluster names" -}}
{{- end -}}
{{- if and $e.loadBalancerSourceRanges (ne $e.mode "loadBalancer") -}}
{{- fail (printf "proxy.exposure.loadBalancerSourceRanges: is set, but proxy.exposure.mode is %s" $e.mode) -}}
{{- end -}}
{{- if and (eq (int $e.port) (int $e.adminPort)) (eq $e.mode "hostNetwork") -}}
{{- fail "proxy.exposure.adminPort: is the same as proxy.exposure.port; with hostNetwork both are ports of the node" -}}
{{- end -}}
{{- if and (ne $e.mode "hostNetwork") (eq (int $e.adminPort) 5000) -}}
{{- fail "proxy.exposure.adminPort: 5000 is the port on which the proxy listens for pulls" -}}
{{- end -}}
{{- if and .Values.proxy.cache.hostPath (not (include "pullgate.onEachNode" .)) -}}
{{- fail (printf "proxy.cache.hostPath: needs proxy.exposure.mode hostPort or hostNetwork; with %s each proxy has a volume of its own" $e.mode) -}}
{{- end -}}
{{- include "pullgate.refuse.budget" . -}}
{{- include "pullgate.refuse.cache" . -}}
{{- include "pullgate.refuse.prober" . -}}
{{- include "pullgate.refuse.upstreams" . -}}
{{- if lt (int .Values.proxy.terminationGracePeriodSeconds) (add (int .Values.proxy.preStopSeconds) 20) -}}
{{- fail "proxy.terminationGracePeriodSeconds: must be at least 20 more than proxy.preStopSeconds, or transfers are killed" -}}
{{- end -}}
{{- if and .Values.nodeAgent.enabled (not .Values.nodeAgent.mirror) (has $e.mode (list "none" "loadBalancer")) -}}
{{- fail (printf "nodeAgent.mirror: is needed with proxy.exposure.mode %s, which has no address known to the chart" $e.mode) -}}
{{- end -}}
{{- if and (eq .Values.monitoring.serviceMonitor "on") (ne .Values.monitoring.podMonitor "off") -}}
{{- fail "monitoring.podMonitor: must be off while monitoring.serviceMonitor is on, or each pod is scraped twice" -}}
{{- end -}}
{{- end -}}

{{- define "pullgate.refuse.budget" -}}
{{- $budget := .Values.proxy.podDisruptionBudget -}}
{{- if ne $budget.enabled "off" -}}
{{- $min := toString $budget.minAvailable -}}
{{- $max := toString $budget.maxUnavailable -}}
{{- if and (ne $min "") (ne $max "") -}}
{{- fail "proxy.podDisruptionBudget.minAvailable: is set together with maxUnavailable; Kubernetes accepts one of them" -}}
{{- end -}}
{{- if and (eq $min "") (eq $max "") -}}
{{- fail "proxy.podDisruptionBudget.maxUnavailable: set it, or minAvailable, or turn the budget off" -}}
{{- end -}}
{{- if and (ne $min "") (not (hasSuffix "%" $min)) (not (include "pullgate.onEachNode" .)) (ge (int $min) (int .Values.proxy.replicas)) -}}
{{- fail (printf "proxy.podDisruptionBudget.minAvailable: %s of %d replicas would block every drain of a node" $min (int .Values.proxy.replicas)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Size in MiB. */}}
{{- define "pullgate.mebibytes" -}}
{{- $number := regexFind "^[0-9]+" . | int64 -}}
{{- $unit := regexFind "[A-Za-z]+$" . | trimSuffix "B" -}}
{{- if eq $unit "Mi" -}}{{ $number }}
{{- else if eq $unit "Gi" -}}{{ mul $number 1024 }}
{{- else if eq $unit "Ti" -}}{{ mul $number 1048576 }}
{{- else if eq $unit "M" -}}{{ div (mul $number 1000000) 1048576 }}
{{- else if eq $unit "G" -}}{{ div (mul $number 1000000000) 1048576 }}
{{- else if eq $unit "T" -}}{{ div (mul $number 1000000000000) 1048576 }}
{{- end -}}
{{- end -}}

{{- define "pullgate.refuse.cache" -}}
{{- $limit := dig "proxy" "cache" "max_size" "" .Values.config -}}
{{- $volume := .Values.proxy.cache.size -}}
{{- if $limit -}}
{{- if ge (include "pullgate.mebibytes" $limit | int64) (include "pullgate.mebibytes" $volume | int64) -}}
{{- fail (printf "proxy.cache.size: the volume of %s must be greater than config.proxy.cache.max_size (%s), with room for transfers in progress" $volume $limit) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "pullgate.refuse.prober" -}}
{{- $discovery := .Values.prober.discovery -}}
{{- if and (eq $discovery.mode "namespaces") (not $discovery.namespaces) -}}
{{- fail "prober.discovery.namespaces: is empty, but prober.discovery.mode is namespaces" -}}
{{- end -}}
{{- if and $discovery.namespaces (ne $discovery.mode "namespaces") -}}
{{- fail (printf "prober.discovery.namespaces: is set, but prober.discovery.mode is %s" $discovery.mode) -}}
{{- end -}}
{{- if and (ne $discovery.mode "off") (not .Values.prober.enabled) -}}
{{- fail (printf "prober.discovery.mode: is %s, but prober.enabled is false" $discovery.mode) -}}
{{- end -}}
{{- end -}}

{{- define "pullgate.refuse.upstreams" -}}
{{- $upstreams := .Values.config.upstreams | default dict -}}
{{- range $id, $from := .Values.credentials -}}
{{- $upstream := get $upstreams $id | default dict -}}
{{- if and $from.existingSecret (or $from.username $from.password $from.registry) -}}
{{- fail (printf "credentials.%s.existingSecret: is set together with username, password or registry; choose one" $id) -}}
{{- end -}}
{{- if and (not $from.existingSecret) (not (and $from.registry $from.username $from.password)) -}}
{{- fail (printf "credentials.%s: needs existingSecret, or registry, username and password" $id) -}}
{{- end -}}
{{- if not $upstream.access -}}
{{- fail (printf "config.upstreams.%s.access: is required with credentials.%s: shared lets every client of the proxy see what this account sees" $id $id) -}}
{{- end -}}
{{- if $upstream.credentials -}}
{{- fail (printf "config.upstreams.%s.credentials: is set together with credentials.%s; choose one" $id $id) -}}
{{- end -}}
{{- end -}}
{{- range $id, $_ := .Values.authorities -}}
{{- if (get $upstreams $id | default dict).ca_file -}}
{{- fail (printf "config.upstreams.%s.ca_file: is set together with authorities.%s; choose one" $id $id) -}}
{{- end -}}
{{- end -}}
{{- end -}}
