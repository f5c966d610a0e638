{{/* Labels of every object. */}}
{{- define "sluice.labels" -}}
app.kubernetes.io/instance: {{ .Release.Namespace }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: flux
app.kubernetes.io/version: {{ printf "v%s" (trimPrefix "v" .Chart.AppVersion) | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* The groups of the API, as a list in YAML. */}}
{{- define "sluice.groups" -}}
- helm.toolkit.fluxcd.io
- image.toolkit.fluxcd.io
- kustomize.toolkit.fluxcd.io
- notification.toolkit.fluxcd.io
- source.extensions.fluxcd.io
- source.toolkit.fluxcd.io
{{- end }}

{{/* The status of each of these resources, as a YAML list. */}}
{{- define "sluice.statuses" -}}
{{- range . }}
- {{ . }}/status
{{- end }}
{{- end }}

{{/* Where events are sent to. Takes the root context. */}}
{{- define "sluice.eventsAddress" -}}
{{- if .Values.eventsAddress -}}
{{ .Values.eventsAddress }}
{{- else if .Values.notificationController.create -}}
http://notification-controller.$(RUNTIME_NAMESPACE).svc.{{ .Values.clusterDomain }}/
{{- end }}
{{- end }}

{{/*
Arguments of every controller in the order of Flux's: patches of users count them.
Takes a dict: root, name.
*/}}
{{- define "sluice.args" -}}
{{- if ne .name "notification-controller" }}
- --events-addr={{ include "sluice.eventsAddress" .root }}
{{- end }}
- --watch-all-namespaces={{ .root.Values.watchAllNamespaces }}
- --log-level={{ .root.Values.logLevel }}
- --log-encoding={{ .root.Values.logEncoding }}
- --enable-leader-election
{{- end }}

{{/* What limits a controller to its shard, or to what is in none. Takes a dict: root, name, shard. */}}
{{- define "sluice.shardArgs" -}}
{{- if not (has .name (list "source-controller" "kustomize-controller" "helm-controller")) }}
{{- else if .shard }}
- --watch-label-selector=sharding.fluxcd.io/key={{ .shard }}
{{- else if .root.Values.sharding.shards }}
- --watch-label-selector=!sharding.fluxcd.io/key
{{- end }}
{{- end }}

{{/* A ServiceAccount. Takes a dict: root, name, values. */}}
{{- define "sluice.serviceAccount" -}}
{{- if .values.serviceAccount.create }}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "sluice.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .name }}
  {{- with .values.serviceAccount.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* A Service on port 80. Takes a dict: root, name (of the Service), component, app, port (its name). */}}
{{- define "sluice.service" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "sluice.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
    control-plane: controller
spec:
  type: ClusterIP
  selector:
    app: {{ .app }}
  ports:
    - name: http
      port: 80
      protocol: TCP
      targetPort: {{ .port }}
{{- end }}

{{/* A PodDisruptionBudget, where wanted. Takes a dict: root, name, component. */}}
{{- define "sluice.podDisruptionBudget" -}}
{{- with .root.Values.podDisruptionBudget }}
{{- if .create }}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ $.name }}
  namespace: {{ $.root.Release.Namespace }}
  labels:
    {{- include "sluice.labels" $.root | nindent 4 }}
    app.kubernetes.io/component: {{ $.component }}
spec:
  maxUnavailable: {{ .maxUnavailable }}
  selector:
    matchLabels:
      app: {{ $.name }}
{{- end }}
{{- end }}
{{- end }}

{{/*
A Deployment.
Takes a dict: root, name, values, args, ports, volumes (name, path, source), env, strategy, grace, readiness, and
shard for one that sees to a shard only.
*/}}
{{- define "sluice.deployment" -}}
{{- $values := .values -}}
{{- $app := .name -}}
{{- if .shard }}{{ $app = printf "%s-%s" .name .shard }}{{ end -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $app }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "sluice.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .name }}
    control-plane: controller
    {{- with .shard }}
    sharding.fluxcd.io/role: shard
    {{- end }}
    {{- with $values.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  replicas: 1
  selector:
    matchLabels:
      app: {{ $app }}
  strategy:
    type: {{ .strategy }}
  template:
    metadata:
      labels:
        app: {{ $app }}
        {{- include "sluice.labels" .root | nindent 8 }}
        app.kubernetes.io/component: {{ .name }}
        {{- with $values.labels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with $values.annotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      serviceAccountName: {{ .name }}
      {{- with $values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- with .root.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      terminationGracePeriodSeconds: {{ .grace }}
      securityContext:
        fsGroup: 1337
      containers:
        - name: manager
          image: {{ printf "%s:%s" $values.image (default .root.Chart.AppVersion $values.tag) }}
          imagePullPolicy: {{ $values.imagePullPolicy }}
          args:
            {{- include "sluice.args" . | trim | nindent 12 }}
            {{- range .args }}
            - {{ . }}
            {{- end }}
            {{- with include "sluice.shardArgs" . | trim }}
            {{- . | nindent 12 }}
            {{- end }}
            {{- with $values.container.additionalArgs }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          env:
            - name: RUNTIME_NAMESPACE
              valueFrom:
                fieldRef:
                  fieldPath: metadata.namespace
            {{- range .env }}
            - name: {{ .name }}
              value: {{ .value | quote }}
            {{- end }}
            {{- with $values.extraEnv }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          ports:
            {{- range .ports }}
            - name: {{ .name }}
              containerPort: {{ .port }}
              protocol: TCP
            {{- end }}
            - name: http-prom
              containerPort: 8080
              protocol: TCP
            - name: healthz
              containerPort: 9440
              protocol: TCP
          livenessProbe:
            httpGet:
              path: /healthz
              port: healthz
          readinessProbe:
            httpGet:
              {{- toYaml .readiness | nindent 14 }}
          {{- with $values.resources }}
          resources:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          securityContext:
            allowPrivilegeEscalation: false
            capabilities:
              drop: [ALL]
            readOnlyRootFilesystem: true
            runAsNonRoot: true
            seccompProfile:
              type: RuntimeDefault
          volumeMounts:
            {{- range .volumes }}
            - name: {{ .name }}
              mountPath: {{ .path }}
            {{- end }}
      volumes:
        {{- range .volumes }}
        - name: {{ .name }}
          {{- toYaml .source | nindent 10 }}
        {{- end }}
      {{- with $values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
{{- end }}
