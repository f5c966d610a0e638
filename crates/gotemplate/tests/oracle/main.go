// Asks helm's engine what it makes of generated templates and prints one JSON object a line.
//
// Run by hand in this folder: `go run . > ../data/engine.jsonl`. The first line holds the values that
// all templates see; a line has `t` (template) and `o` (output), `b` (output in base64 where it is no
// UTF-8) or `e` (error). The same seed gives the same templates.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand"
	"os"
	"os/exec"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/engine"
)

const name = "oracle/templates/t.yaml"

type line struct {
	Template string  `json:"t"`
	Output   *string `json:"o,omitempty"`
	Base64   *string `json:"b,omitempty"`
	Error    *string `json:"e,omitempty"`
}

func values() map[string]any {
	var v map[string]any
	if err := json.Unmarshal([]byte(valuesText), &v); err != nil {
		panic(err)
	}
	return v
}

func render(template string) (out string, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	c := &chart.Chart{
		Metadata:  &chart.Metadata{Name: "oracle", Version: "1.2.3", AppVersion: "4.5", APIVersion: "v2", Type: "application"},
		Templates: []*common.File{{Name: "templates/t.yaml", Data: []byte(template)}},
	}
	options := common.ReleaseOptions{Name: "rel", Namespace: "default", Revision: 1, IsInstall: true}
	top, err := util.ToRenderValues(c, values(), options, common.DefaultCapabilities)
	if err != nil {
		return "", err
	}
	files, err := engine.Engine{}.Render(c, top)
	if err != nil {
		return "", err
	}
	return files[name], nil
}

// What differs from run to run is no answer.
var unstable = regexp.MustCompile(`0x[0-9a-f]{9,}|\*time\.Location|time\.Time=\{|toml: line|!!binary|` + time.Now().UTC().Format("2006-01"))

// Bytes that are no UTF-8 in places where nobody has them, and copies of private fields.
var lossy = regexp.MustCompile(`(?i)(date|toml|snakecase|kebabcase|yamlpretty)[^}]*\\xff|\\xff[^}]*(date|toml|snakecase|kebabcase|yamlpretty)|deepcopy[^}]*Capabilities`)

func ask(template string) (line, bool) {
	out, err := render(template)
	answer := line{Template: template}
	text := out
	if err != nil {
		text = err.Error()
		answer.Error = &text
	} else if utf8.ValidString(out) {
		answer.Output = &text
	} else {
		encoded := base64.StdEncoding.EncodeToString([]byte(out))
		answer.Base64 = &encoded
	}
	again, errAgain := render(template)
	stable := again == out && fmt.Sprint(err) == fmt.Sprint(errAgain)
	if !stable || unstable.MatchString(text) || !utf8.ValidString(text) && err != nil || len(text) > 1200 {
		return answer, false
	}
	return answer, !strings.HasPrefix(text, "panic: ")
}

// A template can end the whole process: a map that holds itself overflows the stack when it is printed.
// So a child does the work, and another goes on behind the template that killed the one before.
func main() {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	if len(os.Args) > 1 {
		from, _ := strconv.Atoi(os.Args[1])
		child(from)
		return
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(map[string]any{"values": values()})
	for from := 0; from >= 0; {
		command := exec.Command(os.Args[0], strconv.Itoa(from))
		command.Stdout = os.Stdout
		report, _ := command.StderrPipe()
		if err := command.Start(); err != nil {
			panic(err)
		}
		lines := bufio.NewScanner(report)
		lines.Buffer(make([]byte, 1<<20), 1<<26)
		for lines.Scan() {
			if at, ok := strings.CutPrefix(lines.Text(), "at "); ok {
				from, _ = strconv.Atoi(at)
			}
		}
		if command.Wait() == nil {
			return
		}
		from++
	}
}

func child(from int) {
	debug.SetMaxStack(64 << 20)
	debug.SetMemoryLimit(1 << 30)
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	seen := map[string]bool{}
	random := rand.New(rand.NewSource(20261121))
	for at, template := range all(random) {
		if seen[template] || !utf8.ValidString(template) || lossy.MatchString(template) {
			continue
		}
		seen[template] = true
		if at < from {
			continue
		}
		fmt.Fprintf(os.Stderr, "at %d\n", at)
		if answer, ok := ask(template); ok {
			_ = encoder.Encode(answer)
		}
	}
}
