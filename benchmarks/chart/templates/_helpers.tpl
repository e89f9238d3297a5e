{{- define "models.labels" -}}
app.kubernetes.io/name: vllm
app.kubernetes.io/instance: {{ .name }}
{{- end }}

{{- define "models.probe" -}}
httpGet:
  path: /health
  port: http
periodSeconds: {{ .period }}
timeoutSeconds: {{ .timeout }}
failureThreshold: {{ .failures }}
{{- end }}
