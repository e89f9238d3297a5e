{{- define "models.selector" -}}
app.kubernetes.io/name: vllm
app.kubernetes.io/instance: {{ .name }}
{{- end }}

{{- define "models.labels" -}}
{{- with .labels }}
{{- toYaml . }}
{{ end }}
{{- include "models.selector" . }}
{{- end }}

{{- define "models.probe" -}}
httpGet:
  path: /health
  port: http
periodSeconds: {{ .period }}
timeoutSeconds: {{ .timeout }}
failureThreshold: {{ .failures }}
{{- with .grace }}
terminationGracePeriodSeconds: {{ . }}
{{- end }}
{{- end }}

{{- define "models.secret" -}}
- name: {{ .variable }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret.name }}
      key: {{ .secret.key | default "token" }}
{{- end }}

{{- define "models.peer" -}}
- from:
    - {{- toYaml .peer | nindent 6 }}
  ports:
    - port: {{ .port }}
      protocol: TCP
{{- end }}
