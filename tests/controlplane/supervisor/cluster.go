package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// Settings say what to start.
type Settings struct {
	Program, Assets, Kwok, Stages string
	Audit                         bool
}

// Facts are what a user of the control plane needs to know.
type Facts struct {
	Kubeconfig  string         `json:"kubeconfig"`  // of an administrator
	Controllers string         `json:"controllers"` // kubeconfig for the controllers under test, who are audited
	Server      string         `json:"server"`
	Audit       string         `json:"audit,omitempty"` // the audit log: JSON lines
	Supervisor  int            `json:"supervisor"`      // process ids, for measurements
	Processes   map[string]int `json:"processes"`
	Seconds     float64        `json:"seconds"` // from start to ready
}

const auditPolicy = `
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: Metadata
  userGroups: ["` + auditedGroup + `", "` + auditedAccounts + `"]
- level: None
`

func (s Settings) start(ctx context.Context, folder string) (*Cluster, *Facts, error) {
	begin := time.Now()
	cluster := &Cluster{folder: folder, exits: make(chan exit, 8), parts: map[string]*part{}, pids: map[string]int{}}
	secrets, err := newCredentials(folder)
	if err != nil {
		return cluster, nil, err
	}
	ports, err := freePorts(2)
	if err != nil {
		return cluster, nil, err
	}
	etcd, server := fmt.Sprintf("http://127.0.0.1:%d", ports[0]), fmt.Sprintf("https://127.0.0.1:%d", ports[1])
	kubeconfigs := map[string]string{}
	for name := range secrets.users {
		if kubeconfigs[name], err = secrets.writeKubeconfig(name, server); err != nil {
			return cluster, nil, err
		}
	}
	facts := &Facts{
		Kubeconfig: kubeconfigs[admin], Controllers: kubeconfigs[controllers],
		Server: server, Supervisor: os.Getpid(), Processes: cluster.pids,
	}

	apiserver := []string{
		"--etcd-servers=" + etcd,
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", ports[1]),
		"--cert-dir=" + folder,
		"--tls-cert-file=" + secrets.path("apiserver.crt"), "--tls-private-key-file=" + secrets.path("apiserver.key"),
		"--token-auth-file=" + secrets.path("tokens.csv"), "--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + secrets.path("service-account.key"),
		"--service-account-signing-key-file=" + secrets.path("service-account.key"),
		"--service-cluster-ip-range=10.96.0.0/16", "--endpoint-reconciler-type=none", "--profiling=false",
	}
	if s.Audit {
		facts.Audit = filepath.Join(folder, "audit.log")
		if err := secrets.write("audit-policy.yaml", []byte(auditPolicy)); err != nil {
			return cluster, nil, err
		}
		apiserver = append(apiserver, "--audit-log-path="+facts.Audit, "--audit-log-maxsize=2000",
			"--audit-policy-file="+secrets.path("audit-policy.yaml"))
	}
	client := []string{
		"--kubeconfig=" + kubeconfigs[parts], "--leader-elect=false", "--secure-port=0",
		// The defaults of 20 and 30 a second would make the control plane what a benchmark measures.
		"--kube-api-qps=1000", "--kube-api-burst=2000",
	}
	manager := append([]string{
		"--root-ca-file=" + secrets.path("ca.crt"),
		"--service-account-private-key-file=" + secrets.path("service-account.key"),
		// A test machine that is busy for a minute is no reason to evict all Pods.
		"--node-monitor-grace-period=1h",
	}, client...)

	err = cluster.all(
		func() error {
			return s.part(cluster, "etcd", "--name=sluice", "--data-dir="+filepath.Join(folder, "etcd"),
				"--listen-client-urls="+etcd, "--advertise-client-urls="+etcd,
				"--listen-peer-urls=http://127.0.0.1:0", "--unsafe-no-fsync", "--log-level=warn")
		},
		func() error { return s.part(cluster, "kube-apiserver", apiserver...) },
		func() error { return s.ready(ctx, cluster, secrets, server, "/readyz", isOK) },
		func() error { return s.part(cluster, "kube-controller-manager", manager...) },
		func() error { return s.part(cluster, "kube-scheduler", client...) },
		func() error {
			if s.Kwok == "" {
				return nil
			}
			arguments := []string{
				"--kubeconfig=" + kubeconfigs[parts], "--manage-all-nodes=true",
				// Without a lease the node is given up after 40 s, and all Pods with it.
				"--node-lease-duration-seconds=40",
			}
			if s.Stages != "" {
				arguments = append(arguments, "--config="+s.Stages)
			}
			return cluster.run("kwok", s.Kwok, arguments...)
		},
		func() error { return s.createNode(ctx, secrets, server) },
		func() error {
			return s.ready(ctx, cluster, secrets, server, "/api/v1/namespaces/default/serviceaccounts/default", isOK)
		},
		func() error {
			if s.Kwok == "" {
				return nil
			}
			return s.ready(ctx, cluster, secrets, server, "/api/v1/nodes/"+nodeName, isReadyNode)
		},
	)
	facts.Seconds = time.Since(begin).Round(10 * time.Millisecond).Seconds()
	return cluster, facts, err
}

// part starts one part of the control plane: from the folder of assets if it is there, else from our program.
func (s Settings) part(cluster *Cluster, name string, arguments ...string) error {
	if s.Assets != "" {
		file := filepath.Join(s.Assets, name)
		if _, err := os.Stat(file); err == nil {
			return cluster.run(name, file, arguments...)
		}
	}
	return cluster.run(name, s.Program, append([]string{name}, arguments...)...)
}

const nodeName = "node"

func (s Settings) createNode(ctx context.Context, secrets *credentials, server string) error {
	resources := map[string]string{"cpu": "1000", "memory": "1Ti", "ephemeral-storage": "1Ti", "pods": "100000"}
	node, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Node",
		"metadata": map[string]any{"name": nodeName, "labels": map[string]string{
			"kubernetes.io/hostname": nodeName, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
		}},
		"status": map[string]any{"allocatable": resources, "capacity": resources},
	})
	if err != nil {
		return err
	}
	status, body, err := request(ctx, secrets, http.MethodPost, server+"/api/v1/nodes", node)
	if err == nil && status != http.StatusCreated {
		err = fmt.Errorf("creating the node: %d %s", status, body)
	}
	return err
}

func isOK(status int, _ []byte) bool { return status == http.StatusOK }

func isReadyNode(status int, body []byte) bool {
	var node struct {
		Spec struct {
			Taints []any `json:"taints"`
		} `json:"spec"`
		Status struct {
			Conditions []struct{ Type, Status string } `json:"conditions"`
		} `json:"status"`
	}
	if status != http.StatusOK || json.Unmarshal(body, &node) != nil || len(node.Spec.Taints) > 0 {
		return false
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == "Ready" {
			return condition.Status == "True"
		}
	}
	return false
}

// ready asks until the answer is good, a part has died, or the time is over.
func (s Settings) ready(
	ctx context.Context, cluster *Cluster, secrets *credentials, server, path string, good func(int, []byte) bool,
) error {
	last := ""
	for {
		status, body, err := request(ctx, secrets, http.MethodGet, server+path, nil)
		if err == nil && good(status, body) {
			return nil
		}
		if err != nil {
			last = err.Error()
		} else {
			last = fmt.Sprintf("%d %.300s", status, body)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not ready in time: %s: %s", path, last)
		case exit := <-cluster.exits:
			return fmt.Errorf("%s ended while starting: %v; its last words:\n%s", exit.name, exit.err, tail(exit.log))
		case <-time.After(25 * time.Millisecond):
		}
	}
}

func request(ctx context.Context, secrets *credentials, method, url string, body []byte) (int, []byte, error) {
	ca, err := os.ReadFile(secrets.path("ca.crt"))
	if err != nil {
		return 0, nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	client := http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true},
	}
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Authorization", "Bearer "+secrets.users[admin].token)
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return response.StatusCode, answer, err
}

// freePorts are free on loopback at this moment.
func freePorts(count int) ([]int, error) {
	var ports []int
	for range count {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
