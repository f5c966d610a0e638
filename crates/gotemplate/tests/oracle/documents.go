package main

import (
	"math/rand"
	"strings"
)

// A generator of whole templates: text, actions, scopes, definitions.
type generator struct {
	r     *rand.Rand
	known map[string]signature
	names []string
	vars  []string
	depth int
	loops int
	out   strings.Builder
}

// Functions that say something about most values.
var lively = []string{"upper", "quote", "len", "default", "printf", "eq", "ne", "lt", "and", "or", "not", "index", "toJson", "toYaml",
	"list", "dict", "first", "last", "append", "set", "get", "hasKey", "add", "int", "ternary", "kindOf", "typeOf", "indent", "nindent",
	"trim", "join", "sortAlpha", "empty", "coalesce", "merge", "cat", "replace", "trunc", "html", "print", "println", "squote", "concat"}

func (g *generator) atom() string {
	if len(g.vars) > 0 && g.r.Intn(4) == 0 {
		v := pick(g.r, g.vars)
		if g.r.Intn(5) == 0 {
			v += pick(g.r, []string{".a", ".b", ".c.d", ".s", ".x.y"})
		}
		return v
	}
	switch g.r.Intn(12) {
	case 0:
		return "."
	case 1:
		return pick(g.r, []string{"$", "$.Values.s", "$.Values.m.c", "$.Release.Name", "$.Values.nil.x"})
	case 2:
		return pick(g.r, []string{".a", ".b", ".c.d", ".Values.m.b", ".Values.nil.x", "(.Values.nil).x", ".Values.s.x", ".x", "(.Values.m).c.d", `(index .Values.lm 0).a`})
	}
	return pick(g.r, everything())
}

func (g *generator) expression() string {
	g.depth++
	defer func() { g.depth-- }()
	if g.depth > 3 || g.r.Intn(2) == 0 {
		return g.atom()
	}
	if g.r.Intn(8) == 0 {
		return call(g.r, "printf", g.known["printf"])
	}
	name := pick(g.r, lively)
	s := g.known[name]
	count := len(s.params)
	if s.variadic {
		count += g.r.Intn(3) - 1
	}
	parts := []string{name}
	for at := 0; at < count; at++ {
		var arg string
		if g.r.Intn(3) == 0 {
			arg = g.operand()
		} else {
			arg = argument(g.r, name, at, s.params[min(at, len(s.params)-1)])
		}
		parts = append(parts, arg)
	}
	return strings.Join(parts, " ")
}

func (g *generator) operand() string {
	e := g.expression()
	if strings.Contains(e, " ") && !strings.HasPrefix(e, "(") && !strings.HasPrefix(e, `"`) && !strings.HasPrefix(e, "`") {
		return "(" + e + ")"
	}
	return e
}

func (g *generator) pipeline() string {
	p := g.expression()
	for g.r.Intn(3) == 0 {
		p += pick(g.r, []string{" | ", "|", " |  "}) + pick(g.r, []string{"quote", "upper", "toJson", "len", "default \"d\"", "printf \"%v;\"", "typeOf", "not", "print 1", "list", "first", "toYaml | indent 2", "trim"})
	}
	return p
}

func (g *generator) open() string {
	return pick(g.r, []string{"{{", "{{ ", "{{- ", "{{-  ", "{{\t", "{{-\n"})
}

func (g *generator) close() string {
	return pick(g.r, []string{"}}", " }}", " -}}", "  -}}", "\n-}}", " \n}}"})
}

func (g *generator) action(text string) { g.out.WriteString(g.open() + text + g.close()) }

func (g *generator) text() {
	g.out.WriteString(pick(g.r, []string{"x", " ", "\n", "a: b\n", "  - c", "\t", " \n ", "é", "}", "{", "<no value>", "- ", "\r\n"}))
}

func (g *generator) block(body func()) {
	mark := len(g.vars)
	body()
	g.vars = g.vars[:mark]
}

func (g *generator) statements(depth int) {
	for i := 0; i <= g.r.Intn(4); i++ {
		g.statement(depth)
	}
}

func (g *generator) variable() string { return pick(g.r, []string{"$x", "$y", "$z", "$item", "$i"}) }

func (g *generator) statement(depth int) {
	if depth > 3 {
		g.text()
		return
	}
	switch g.r.Intn(16) {
	case 0, 1, 2:
		g.text()
	case 3, 4, 5, 6:
		g.action(g.pipeline())
	case 7:
		v := g.variable()
		g.action(v + " := " + g.pipeline())
		g.vars = append(g.vars, v)
	case 8:
		if len(g.vars) == 0 {
			g.text()
			return
		}
		g.action(pick(g.r, g.vars) + " = " + g.pipeline())
	case 9, 10:
		g.block(func() {
			condition := g.pipeline()
			if g.r.Intn(5) == 0 {
				v := g.variable()
				condition = v + " := " + condition
				g.vars = append(g.vars, v)
			}
			g.action("if " + condition)
			g.statements(depth + 1)
			if g.r.Intn(3) == 0 {
				g.action("else if " + g.pipeline())
				g.statements(depth + 1)
			}
			if g.r.Intn(2) == 0 {
				g.action("else")
				g.statements(depth + 1)
			}
			g.action("end")
		})
	case 11:
		g.block(func() {
			g.action("with " + g.pipeline())
			g.statements(depth + 1)
			if g.r.Intn(3) == 0 {
				g.action("else with " + g.pipeline())
				g.statements(depth + 1)
			}
			if g.r.Intn(3) == 0 {
				g.action("else")
				g.statements(depth + 1)
			}
			g.action("end")
		})
	case 12, 13:
		g.block(func() {
			over := pick(g.r, append(append(append([]string{}, lists...), maps...), `3`, `0`, `.Values.s`, `.Values.nil`, `.Values.f`, `(until 3)`, `2`))
			switch g.r.Intn(4) {
			case 0:
				v := g.variable()
				over = v + " := " + over
				g.vars = append(g.vars, v)
			case 1:
				over = "$k, $v := " + over
				g.vars = append(g.vars, "$k", "$v")
			case 2:
				if len(g.vars) > 0 {
					over = pick(g.r, g.vars) + " = " + over
				}
			}
			g.action("range " + over)
			g.loops++
			g.statements(depth + 1)
			if g.r.Intn(4) == 0 {
				g.action("if " + g.operand())
				g.action(pick(g.r, []string{"break", "continue"}))
				g.action("end")
				g.text()
			}
			g.loops--
			if g.r.Intn(3) == 0 {
				g.action("else")
				g.statements(depth + 1)
			}
			g.action("end")
		})
	case 14:
		name := pick(g.r, []string{"one", "two", "three"})
		switch g.r.Intn(3) {
		case 0:
			g.action(`template "` + name + `" ` + g.operand())
		case 1:
			g.action(`include "` + name + `" ` + g.operand() + pick(g.r, []string{"", " | nindent 2", " | quote", " | trim | upper"}))
		default:
			g.block(func() {
				saved := g.vars
				g.action(`block "` + pick(g.r, []string{"b1", "b2", "b3", "b4"}) + `" ` + g.operand())
				g.vars = nil
				g.statements(depth + 1)
				g.action("end")
				g.vars = saved
			})
		}
	case 15:
		g.out.WriteString(pick(g.r, []string{"{{/* c */}}", "{{- /* c\n */ -}}", "{{ `{{` }}", "{{ \"}}\" }}", "{{-3}}", "{{- -3 -}}", "{{ 1 -}}\n", "{{/*-*/}} "}))
	}
}

func (g *generator) definitions() {
	for _, name := range []string{"one", "two", "three"} {
		if g.r.Intn(3) == 0 {
			continue
		}
		g.vars = nil
		g.action(`define "` + name + `"`)
		g.r.Intn(2)
		g.text()
		g.action(g.pipeline())
		if g.r.Intn(2) == 0 {
			g.statement(3)
		}
		g.action("end")
	}
	g.vars = nil
}

func document(r *rand.Rand, known map[string]signature) string {
	g := &generator{r: r, known: known}
	if r.Intn(2) == 0 {
		g.definitions()
	}
	g.statements(0)
	return g.out.String()
}

// A template with something cut out, doubled or put in.
func broken(r *rand.Rand, known map[string]signature) string {
	text := document(r, known)
	for i := 0; i <= r.Intn(2); i++ {
		if len(text) < 4 {
			break
		}
		at := r.Intn(len(text) - 2)
		length := 1 + r.Intn(3)
		if at+length > len(text) {
			length = len(text) - at
		}
		switch r.Intn(4) {
		case 0:
			text = text[:at] + text[at+length:]
		case 1:
			text = text[:at] + pick(r, []string{"{{", "}}", "(", ")", "|", "\"", "`", "'", "$", ".", " ", "{{end}}", "{{ else }}", "{{break}}", "\n", "=", ":=", ",", "-", "/*", "é", "#", "$q", "nil", "{{define \"x\"}}", "0x", "1_", "'ab'"}) + text[at:]
		case 2:
			text = text[:at]
		default:
			text = text[:at] + text[at:at+length] + text[at:]
		}
	}
	return text
}
