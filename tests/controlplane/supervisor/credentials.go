package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A user is somebody the API server knows by a token. All of them may do everything; the names tell them apart in
// the audit log and in metrics.
type user struct {
	name   string
	groups string
	token  string
}

const (
	admin       = "admin"
	controllers = "sluice-controllers" // What the controllers under test are called, see auditPolicy.
	parts       = "controlplane"       // The controller manager, the scheduler and kwok.
)

const auditedGroup = "sluice:audited"

// The accounts that stand for controllers in tests, see tests/src/identities.rs.
const auditedAccounts = "system:serviceaccounts:sluice-identities"

type credentials struct {
	folder string
	users  map[string]user
}

func newCredentials(folder string) (*credentials, error) {
	c := &credentials{folder: folder, users: map[string]user{}}
	var table strings.Builder
	for name, groups := range map[string]string{
		admin:       "system:masters",
		controllers: "system:masters," + auditedGroup,
		parts:       "system:masters",
	} {
		secret := make([]byte, 16)
		if _, err := rand.Read(secret); err != nil {
			return nil, err
		}
		u := user{name, groups, hex.EncodeToString(secret)}
		c.users[name] = u
		fmt.Fprintf(&table, "%s,%s,%s,%q\n", u.token, u.name, u.name, u.groups)
	}
	if err := c.write("tokens.csv", []byte(table.String())); err != nil {
		return nil, err
	}
	if err := c.writeServerCertificate(); err != nil {
		return nil, err
	}
	return c, c.writeServiceAccountKey()
}

func (c *credentials) path(name string) string { return filepath.Join(c.folder, name) }

func (c *credentials) write(name string, data []byte) error {
	return os.WriteFile(c.path(name), data, 0o600)
}

// writeServerCertificate makes a CA of its own and a certificate for loopback that it signs.
func (c *credentials) writeServerCertificate() error {
	now := time.Now()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sluice test control plane"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "kube-apiserver"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost", "kubernetes.default.svc"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	for name, block := range map[string]*pem.Block{
		"ca.crt":        {Type: "CERTIFICATE", Bytes: caDER},
		"apiserver.crt": {Type: "CERTIFICATE", Bytes: leafDER},
		"apiserver.key": {Type: "EC PRIVATE KEY", Bytes: keyDER},
	} {
		if err := c.write(name, pem.EncodeToMemory(block)); err != nil {
			return err
		}
	}
	return nil
}

func (c *credentials) writeServiceAccountKey() error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	return c.write("service-account.key", pem.EncodeToMemory(block))
}

// writeKubeconfig writes the kubeconfig of one user and returns its path. JSON is YAML, so no emitter is needed.
func (c *credentials) writeKubeconfig(name, server string) (string, error) {
	ca, err := os.ReadFile(c.path("ca.crt"))
	if err != nil {
		return "", err
	}
	const cluster = "sluice-test"
	data, err := json.MarshalIndent(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": cluster,
		"clusters": []any{map[string]any{"name": cluster, "cluster": map[string]any{
			"server": server, "certificate-authority-data": base64.StdEncoding.EncodeToString(ca)}}},
		"users":    []any{map[string]any{"name": name, "user": map[string]any{"token": c.users[name].token}}},
		"contexts": []any{map[string]any{"name": cluster, "context": map[string]any{"cluster": cluster, "user": name}}},
	}, "", "  ")
	if err != nil {
		return "", err
	}
	file := name + ".kubeconfig"
	return c.path(file), c.write(file, data)
}
