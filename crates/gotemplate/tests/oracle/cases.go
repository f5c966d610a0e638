package main

import (
	"fmt"
	"math/rand"
	"reflect"
	"sort"
	"strings"

	"github.com/Masterminds/sprig/v3"
)

const valuesText = `{"s":"hello world","e":"","u":"héllo ñ 日本 🎉","n":42,"f":1.5,"big":1234567890123,"neg":-7,"z":0,
"t":true,"fa":false,"nil":null,"l":["b","a","c"],"li":[3,1,2],"lm":[{"a":1},{"b":[1,2]}],"el":[],
"m":{"a":1,"b":"x","c":{"d":[1,"2",null]}},"em":{},"multi":"line1\nline2\n\n  line4\n","pad":"  x y\t\n",
"json":"{\"a\":[1,2,{\"b\":null}]}","yaml":"a: 1\nb: [x, 'y']\nc:\n  d: |\n    t\n","html":"<a href=\"x\">&'</a>",
"ver":"1.2.3-rc.1+b5","path":"/a/b/../c.tar.gz","num":"12.50","hex":"0x1F","csv":"a,b,,c","camel":"fooBarBaz_quxHTTP2xx-9"}`

// Arguments by what a parameter takes; any of them may be passed to any parameter.
var (
	strs = []string{`.Values.s`, `.Values.e`, `.Values.u`, `.Values.multi`, `.Values.pad`, `.Values.html`, `"a"`, `"ABC def"`,
		"`raw \\n`", `"x\ty\"z"`, `.Values.camel`, `.Values.csv`, `"1.5"`, `"12"`, `"-3"`, `"0x10"`, `"2006-01-02"`, `","`, `"héé"`,
		`(printf "%d-%s" 5 "x")`, `.Chart.Name`, `"a.b.c/d"`, `"\xff\xfe"`}
	ints   = []string{`0`, `1`, `2`, `3`, `5`, `-1`, `-3`, `10`, `(int "7")`, `'a'`, `(len .Values.l)`}
	floats = []string{`1.5`, `0.0`, `-2.25`, `1e3`, `.Values.f`, `(float64 "2.5")`, `1e21`, `.Values.big`}
	bools  = []string{`true`, `false`, `(eq 1 1)`, `.Values.fa`}
	lists  = []string{`.Values.l`, `.Values.li`, `.Values.lm`, `.Values.el`, `(list)`, `(list 1 "a" nil 2.5)`, `(list "z" "y" "z")`,
		`(splitList "," "q,w,e")`, `(until 4)`, `(list (list 1) (dict "a" 1))`, `(list nil nil)`, `(tuple 3 3 1)`}
	maps = []string{`.Values.m`, `.Values.em`, `(dict)`, `(dict "k" 1 "a" nil)`, `(dict "a" (dict "b" 2) "l" (list 1))`, `.Values`,
		`(index .Values.lm 0)`, `.Release`, `(fromYaml .Values.yaml)`}
	odd = []string{`nil`, `.Values.nil`, `.Values.missing`, `.Values.n`, `.Values.neg`, `.Values.z`, `(int64 9)`, `.Values.t`,
		`(semver "1.2.3-a+b")`, `(mustToDuration "90s")`, `(toDate "2006-01-02" "2024-02-29")`, `.Capabilities.KubeVersion`, `1i`,
		`(index "abc" 1)`, `(mustToDate "2006-01-02T15:04:05Z07:00" "2020-05-06T07:08:09+02:00")`}
)

func everything() []string {
	var all []string
	for _, part := range [][]string{strs, ints, floats, bools, lists, maps, odd} {
		all = append(all, part...)
	}
	return all
}

// Strings that fit certain parameters of certain functions.
var special = map[string][][]string{
	"regexMatch":             {{`"^h.*d$"`, `"[0-9]+"`, `"("`, `"(?i)HELLO"`, `"\\bwor"`}, nil},
	"regexFind":              {{`"[a-z]+"`, `"o."`, `"["`}, nil},
	"regexFindAll":           {{`"[a-z]"`, `"o"`, `"*"`, `""`}, nil, {`-1`, `0`, `2`}},
	"regexReplaceAll":        {{`"(o)(.)"`, `"l+"`, `"(?P<x>h)"`, `"a(?=b)"`}, nil, {`"$2$1"`, `"<${x}>"`, `"$1x"`, `"-"`}},
	"regexReplaceAllLiteral": {{`"o"`, `"l*"`}, nil, {`"$1"`, `"[]"`}},
	"regexSplit":             {{`"o"`, `"\\s+"`, `""`, `","`}, nil, {`-1`, `0`, `2`}},
	"semverCompare":          {{`">=1.2.0"`, `"^1.2.x"`, `"~1.2.3-0"`, `"1.x || >2"`, `"bad"`, `""`}, {`.Values.ver`, `"1.2.3"`, `"v2"`, `"x"`}},
	"semver":                 {{`.Values.ver`, `"v1.2"`, `"1.2.3.4"`, `""`, `"1.02.3"`}},
	"fromYaml":               {{`.Values.yaml`, `"a: [1"`, `"- 1"`, `"x"`, `"a: 1\na: 2"`, `""`, `"a: 0o7\nb: 1_000\nc: yes"`}},
	"fromYamlArray":          {{`"[1, a, {b: c}]"`, `"a: 1"`, `"- x\n- y: 1"`}},
	"fromJson":               {{`.Values.json`, `"[1]"`, `"{\"a\":"`, `"nul"`, `"{a:1}"`, `"1e400"`, `"{\"a\":1}x"`, `"\"\\u00e9\\ud83c\\udf89\""`}},
	"mustFromJson":           {{`.Values.json`, `"[1,tru]"`, `"1"`, `"\"x\""`, `"null"`, `"[1,]"`, `"{\"a\" 1}"`, `"\"a\nb\""`, `"01"`, `"-"`, `"1."`}},
	"fromJsonArray":          {{`"[1,\"a\",null]"`, `"{}"`, `"[1"`}},
	"urlParse":               {{`"https://u:p@ex.com:80/a%20b?q=1#f"`, `"mailto:a@b"`, `"//h/p"`, `"http://[::1]:80/"`, `"http://a b/"`, `":x"`, `"http://h:port/"`, `"/p?q"`}},
	"urlJoin":                {{`(urlParse "https://u:p@ex.com:80/a b?q=1#f")`, `(dict "scheme" "http" "host" "h:1" "path" "p" "query" "a=b")`, `(dict "host" 5)`, `(dict "scheme" "s" "opaque" "o")`, `(dict)`}},
	"date":                   {{`"2006-01-02 15:04:05 MST"`, `"Jan _2 Mon 3:4:5PM .000"`, `"02/01/06 Z07:00 -0700"`}, {`(toDate "2006-01-02" "2024-02-29")`, `(int64 1700000000)`, `1500000000`}},
	"dateInZone":             {{`"2006-01-02 15:04:05 MST -0700"`, `"Monday January 2"`}, {`(int64 1700000000)`, `(toDate "2006-01-02" "2024-07-01")`}, {`"UTC"`, `"Europe/Berlin"`, `"America/New_York"`, `"Nope"`, `""`}},
	"htmlDate":               {{`(int64 1700000000)`, `86400`}},
	"htmlDateInZone":         {{`(int64 1700000000)`}, {`"Asia/Tokyo"`, `"UTC"`}},
	"dateModify":             {{`"24h"`, `"-1.5h"`, `"x"`}, {`(toDate "2006-01-02" "2024-02-29")`}},
	"mustDateModify":         {{`"24h"`, `"-1.5h"`, `"x"`, `"1"`}, {`(toDate "2006-01-02" "2024-02-29")`}},
	"toDate":                 {{`"2006-01-02"`, `"Jan 2, 2006 at 3:04pm (MST)"`, `"02.01.06 15h"`}, {`"2024-02-29"`, `"Feb 4, 2014 at 6:05pm (PST)"`, `"2024-02-30"`, `"x"`, `"01.12.99 23h"`}},
	"mustToDate":             {{`"2006-01-02"`, `"15:04:05.000"`, `"2006-01-02T15:04:05Z07:00"`, `"Mon Jan"`}, {`"2024-02-29"`, `"2024-13-01"`, `"12:13:14.567"`, `"2024-01-02T03:04:05-05:30"`, `"Tue Feb"`, `"2024-02-29x"`, `"x"`}},
	"duration":               {{`"95"`, `(int64 3661)`, `60`, `"x"`, `1.5`}},
	"durationRound":          {{`"2h10m5s"`, `"2400h10m5s"`, `"20000h"`, `(int64 5000000000)`, `"x"`, `"1.4s"`}},
	"unixEpoch":              {{`(toDate "2006-01-02" "2024-02-29")`}},
	"b64dec":                 {{`"aGk="`, `"aGk"`, `"a!b="`, `"/w=="`, `"aGVsbG8gd29ybGQ="`, `"aGk=x"`, `"a=Gk"`, `"aG\nk="`}},
	"b32dec":                 {{`"NBSWY3DP"`, `"NBSW==="`, `"nbs"`, `"NBSWY3DPEB3W64TMMQ======"`, `"A"`}},
	"decryptAES":             {{`"k"`}, {`"bad"`, `""`, `"MTIzNDU2Nzg5MDEyMzQ1Ng=="`, `"MTIz"`}},
	"toDecimal":              {{`"777"`, `0755`, `"9"`, `"0o17"`, `10`}},
	"tpl":                    {{`"{{ .s }}-{{ 1 }}"`, `"{{ .x"`, `"{{ fail \"no\" }}"`, `"{{ .Values.s | upper }}"`, `"{{ define \"d\" }}D{{ . }}{{ end }}{{ include \"d\" 1 }}"`, `"{{ nope }}"`, `""`}, {`.`, `.Values`, `nil`}},
	"include":                {{`"nope"`, `"oracle/templates/nope"`}, {`.`, `nil`}},
	"required":               {{`"need it"`, `""`}, nil},
	"fail":                   {{`"boom: %d"`, `""`}},
	"dig":                    {{`"a"`, `"c"`}, {`"b"`, `"d"`, `"zz"`}, {`"default"`, `nil`}, {`.Values.m`, `(dict "a" (dict "b" 1))`, `.Values`, `"x"`}},
	"printf":                 {{`"%v|%d"`, `"%s %q"`, `"%5.2f"`, `"%[2]v %[1]v"`, `"%!"`, `"100%"`}, nil},
	"toYaml":                 {append(append([]string{}, maps...), append(lists, odd...)...)},
	"toToml":                 {append(append([]string{}, maps...), `(dict "a" (list (dict "b" 1) (dict "c" (list 1 2))))`, `(dict "a b" "x\"y" "c" 1e30 "d" (dict "e" (dict)))`)},
	"fromToml":               {{`"a = 1\nb = [1, 2]\n[c]\nd = 1979-05-27"`, `"x = 'y'"`, `"f = 1.50\nt = true"`}},
	"lookup":                 {{`"v1"`}, {`"Pod"`}, {`"ns"`}, {`"n"`, `""`}},
	"mustToDuration":         {{`"1h2m"`, `"2.5"`, `90`, `1.5`, `"x"`, `""`, `nil`, `(list)`}},
	"durationRoundTo":        {{`"2h13m"`, `95`, `"x"`}, {`"30m"`, `60`, `"y"`}},
	"durationTruncateTo":     {{`"2h13m"`, `95`, `"x"`}, {`"30m"`, `60`, `"y"`}},
	"untilStep":              {{`0`, `3`, `10`}, {`10`, `0`, `-3`}, {`1`, `2`, `-3`, `0`}},
	"substr":                 {{`0`, `2`, `-1`, `20`}, {`3`, `-1`, `0`, `50`}, nil},
	"join":                   {{`","`, `""`}, lists},
	"index":                  {append(append([]string{}, lists...), maps...), {`0`, `1`, `"a"`, `"k"`, `9`, `nil`, `1.5`}},
}

// Random, slow or about the time of day. A date that is none is formatted as now: such answers are to be left out by hand.
var excluded = map[string]bool{
	"randAlphaNum": true, "randAlpha": true, "randAscii": true, "randNumeric": true, "randInt": true, "randBytes": true,
	"uuidv4": true, "shuffle": true, "genPrivateKey": true, "genCA": true, "genCAWithKey": true, "genSelfSignedCert": true,
	"genSelfSignedCertWithKey": true, "genSignedCert": true, "genSignedCertWithKey": true, "bcrypt": true, "htpasswd": true,
	"encryptAES": true, "now": true, "ago": true, "keys": true, "values": true, "env": true, "expandenv": true, "derivePassword": true,
	"getHostByName": true,
}

type signature struct {
	params   []reflect.Kind
	variadic bool
}

func functions() map[string]signature {
	found := map[string]signature{}
	for name, function := range sprig.TxtFuncMap() {
		if excluded[name] {
			continue
		}
		t := reflect.TypeOf(function)
		s := signature{variadic: t.IsVariadic()}
		for i := 0; i < t.NumIn(); i++ {
			in := t.In(i)
			if t.IsVariadic() && i == t.NumIn()-1 {
				in = in.Elem()
			}
			s.params = append(s.params, in.Kind())
		}
		found[name] = s
	}
	one, two := []reflect.Kind{reflect.Interface}, []reflect.Kind{reflect.Interface, reflect.Interface}
	for _, name := range []string{"toYaml", "mustToYaml", "toYamlPretty", "toJson", "mustToJson", "toToml", "mustToToml", "mustToDuration",
		"durationSeconds", "durationMilliseconds", "durationMicroseconds", "durationNanoseconds", "durationMinutes", "durationHours",
		"durationDays", "durationWeeks", "not", "len"} {
		found[name] = signature{params: one}
	}
	for _, name := range []string{"fromYaml", "fromYamlArray", "fromJson", "fromJsonArray", "fromToml", "fail"} {
		found[name] = signature{params: []reflect.Kind{reflect.String}}
	}
	for _, name := range []string{"tpl", "include", "required"} {
		found[name] = signature{params: []reflect.Kind{reflect.String, reflect.Interface}}
	}
	for _, name := range []string{"durationRoundTo", "durationTruncateTo", "ne", "lt", "le", "gt", "ge"} {
		found[name] = signature{params: two}
	}
	for _, name := range []string{"eq", "and", "or", "index", "html", "js", "urlquery", "print", "println", "call"} {
		found[name] = signature{params: two, variadic: true}
	}
	found["printf"] = signature{params: []reflect.Kind{reflect.String, reflect.Interface}, variadic: true}
	found["lookup"] = signature{params: []reflect.Kind{reflect.String, reflect.String, reflect.String, reflect.String}}
	return found
}

func fitting(kind reflect.Kind) []string {
	switch kind {
	case reflect.String:
		return strs
	case reflect.Int, reflect.Int64, reflect.Uint32:
		return ints
	case reflect.Float64:
		return floats
	case reflect.Bool:
		return bools
	case reflect.Map:
		return maps
	case reflect.Slice:
		return lists
	}
	return nil
}

func pick(r *rand.Rand, from []string) string { return from[r.Intn(len(from))] }

func argument(r *rand.Rand, name string, at int, kind reflect.Kind) string {
	if known := special[name]; at < len(known) && known[at] != nil && r.Intn(10) > 0 {
		return pick(r, known[at])
	}
	fit := fitting(kind)
	if fit == nil || r.Intn(6) == 0 {
		return pick(r, everything())
	}
	return pick(r, fit)
}

func call(r *rand.Rand, name string, s signature) string {
	count := len(s.params)
	if s.variadic {
		count += r.Intn(4) - 1
	} else if r.Intn(25) == 0 {
		count += r.Intn(3) - 1
	}
	var args []string
	for at := 0; at < count; at++ {
		kind := reflect.Interface
		if at < len(s.params) {
			kind = s.params[at]
		} else if len(s.params) > 0 && s.variadic {
			kind = s.params[len(s.params)-1]
		}
		args = append(args, argument(r, name, at, kind))
	}
	if len(args) > 0 && r.Intn(4) == 0 {
		last := args[len(args)-1]
		return strings.TrimSpace(last + " | " + name + " " + strings.Join(args[:len(args)-1], " "))
	}
	return strings.TrimSpace(name + " " + strings.Join(args, " "))
}

func names(of map[string]signature) []string {
	var all []string
	for name := range of {
		all = append(all, name)
	}
	sort.Strings(all)
	return all
}

func all(r *rand.Rand) []string {
	var cases []string
	known := functions()
	for _, name := range names(known) {
		times := 14
		if _, ok := special[name]; ok {
			times = 20
		}
		for i := 0; i < times; i++ {
			text := call(r, name, known[name])
			switch r.Intn(5) {
			case 0:
				text = "(" + text + ") | typeOf"
				if r.Intn(2) == 0 {
					text = "toJson (" + text + ")"
				}
			case 1:
				text = text + " | toJson"
			}
			cases = append(cases, "[{{ "+text+" }}]")
		}
	}
	cases = append(cases, verbs(r)...)
	for i := 0; i < 2500; i++ {
		cases = append(cases, document(r, known))
	}
	for i := 0; i < 900; i++ {
		cases = append(cases, broken(r, known))
	}
	return cases
}

func verbs(r *rand.Rand) []string {
	var cases []string
	flags := []string{"", "#", "+", " ", "-", "0", "+#", "# "}
	widths := []string{"", "5", "12", ".2", "8.3", "*", ".0"}
	for _, verb := range "vTtsqxXdbocUeEfFgGOw" {
		for i := 0; i < 34; i++ {
			width := pick(r, widths)
			arg := pick(r, everything())
			if width == "*" {
				arg = pick(r, ints) + " " + arg
			}
			cases = append(cases, fmt.Sprintf("[{{ printf \"%%%s%s%c\" %s }}]", pick(r, flags), width, verb, arg))
		}
	}
	return cases
}
