// Generates the answers that tests/it/policies.rs compares with: ranges by Masterminds' library, numbers, expressions
// and order by Go's own packages.
//
//	go run . > ../it/fixtures/policies.jsonl
package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"
)

type testCase struct {
	Tags    []string `json:"tags"`
	Pattern string   `json:"pattern,omitempty"`
	Extract string   `json:"extract,omitempty"`
	Kind    string   `json:"kind"`
	Range   string   `json:"range,omitempty"`
	Latest  string   `json:"latest,omitempty"`
	Error   string   `json:"error,omitempty"`
}

func main() {
	random := rand.New(rand.NewSource(11))
	out := json.NewEncoder(os.Stdout)
	for n := 0; n < 600; n++ {
		c := generate(random)
		keys, tagOf := filter(&c)
		if c.Error == "" {
			key, err := choose(&c, keys)
			if err != nil {
				c.Error = err.Error()
			} else {
				c.Latest = tagOf[key]
			}
		}
		if err := out.Encode(c); err != nil {
			panic(err)
		}
	}
}

func pick(random *rand.Rand, from ...string) string { return from[random.Intn(len(from))] }

func version(random *rand.Rand) string {
	n := func(max int) string { return strconv.Itoa(random.Intn(max)) }
	v := n(4) + "." + n(4)
	if random.Intn(8) > 0 {
		v += "." + n(6)
	}
	switch random.Intn(8) {
	case 0:
		v += "-" + pick(random, "rc", "beta", "alpha") + "." + n(3)
	case 1:
		v += "-" + n(3)
	}
	if random.Intn(4) == 0 {
		v = "v" + v
	}
	return v
}

func rangeText(random *rand.Rand) string {
	part := func() string {
		n := func(max int) string { return strconv.Itoa(random.Intn(max)) }
		v := n(4)
		switch random.Intn(4) {
		case 0:
		case 1:
			v += "." + n(4)
		case 2:
			v += "." + n(4) + "." + n(6)
		case 3:
			v += "." + pick(random, "x", "*", "X")
		}
		if random.Intn(5) == 0 && strings.Count(v, ".") == 2 {
			v += "-0"
		}
		if random.Intn(12) == 0 {
			return n(3) + ".0.0 - " + v
		}
		return pick(random, "", "=", "!=", ">", "<", ">=", "<=", "~", "^") + v
	}
	text := part()
	for random.Intn(3) == 0 {
		text += pick(random, " ", ", ", " || ") + part()
	}
	if random.Intn(40) == 0 {
		text = pick(random, "", "latest", ">=", "1.2.3.4", "*")
	}
	return text
}

func generate(random *rand.Rand) testCase {
	c := testCase{Kind: pick(random, "semver", "semver", "semver", "asc", "desc", "numasc", "numdesc")}
	seen := map[string]bool{}
	numeric := strings.HasPrefix(c.Kind, "num")
	for i := random.Intn(30); i > 0; i-- {
		tag := version(random)
		switch {
		case numeric && random.Intn(60) > 0:
			tag = pick(random, "", "", "-", "+", "0") + strconv.Itoa(random.Intn(1000)) + pick(random, "", "", ".5", "e2")
		case random.Intn(5) == 0:
			tag = fmt.Sprintf("%s-%07x-%d", pick(random, "main", "dev"), random.Intn(1<<28), 1600000000+random.Intn(1000))
		case random.Intn(12) == 0:
			tag = pick(random, "latest", "1.10", "2024-01-01", "RELEASE.1.2.3", "1.2.3+build", "01.02.03", "v1")
		}
		if !seen[tag] {
			seen[tag] = true
			c.Tags = append(c.Tags, tag)
		}
	}
	sort.Sort(sort.Reverse(sort.StringSlice(c.Tags)))
	if c.Kind == "semver" {
		c.Range = rangeText(random)
	}
	if random.Intn(3) == 0 {
		switch pick(random, "main", "semver", "prefix", "number", "bad") {
		case "main":
			c.Pattern, c.Extract = `^main-[a-f0-9]+-(?P<ts>[0-9]+)`, "$ts"
		case "semver":
			c.Pattern, c.Extract = `^v?(?P<v>[0-9]+\.[0-9]+\.[0-9]+)`, pick(random, "$v", "", "${1}-0", "$vx")
		case "prefix":
			c.Pattern = pick(random, `^v`, `1`, `[0-3]\.`, `-rc\.`)
		case "number":
			c.Pattern, c.Extract = `([0-9]+)(?:\.5)?$`, "$1"
		case "bad":
			c.Pattern = pick(random, `(`, `a**`, `[z-a]`, `\8`, `(?P<n`)
		}
	}
	return c
}

func filter(c *testCase) ([]string, map[string]string) {
	tagOf := map[string]string{}
	var keys []string
	if c.Pattern == "" {
		for _, tag := range c.Tags {
			tagOf[tag] = tag
		}
		return c.Tags, tagOf
	}
	re, err := regexp.Compile(c.Pattern)
	if err != nil {
		c.Error = fmt.Sprintf("invalid regular expression pattern '%s': %s", c.Pattern, err)
		return nil, nil
	}
	for _, tag := range c.Tags {
		match := re.FindStringSubmatchIndex(tag)
		if match == nil {
			continue
		}
		key := tag
		if c.Extract != "" {
			key = string(re.ExpandString(nil, c.Extract, tag, match))
		}
		if _, known := tagOf[key]; !known {
			keys = append(keys, key)
		}
		tagOf[key] = tag
	}
	return keys, tagOf
}

func choose(c *testCase, keys []string) (string, error) {
	var constraint *semver.Constraints
	if c.Kind == "semver" {
		var err error
		if constraint, err = semver.NewConstraint(c.Range); err != nil {
			return "", err
		}
	}
	if len(keys) == 0 {
		return "", fmt.Errorf("version list argument cannot be empty")
	}
	switch c.Kind {
	case "semver":
		var latest *semver.Version
		for _, key := range keys {
			if len(strings.SplitN(key, ".", 3)) != 3 {
				continue
			}
			if v, err := semver.NewVersion(key); err == nil && constraint.Check(v) && (latest == nil || v.GreaterThan(latest)) {
				latest = v
			}
		}
		if latest == nil {
			return "", fmt.Errorf("unable to determine latest version from provided list")
		}
		return latest.Original(), nil
	case "asc", "desc":
		sorted := append([]string{}, keys...)
		sort.Strings(sorted)
		if c.Kind == "asc" {
			return sorted[len(sorted)-1], nil
		}
		return sorted[0], nil
	}
	var latest string
	var best float64
	for i, key := range keys {
		value, err := strconv.ParseFloat(key, 64)
		if err != nil {
			return "", fmt.Errorf("failed to parse invalid numeric value '%s'", key)
		}
		if i > 0 && (c.Kind == "numasc" && value < best || c.Kind == "numdesc" && value > best) {
			continue
		}
		latest, best = key, value
	}
	return latest, nil
}
