package field

import (
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// yamlKind is what stands at a place of a YAML file.
type yamlKind byte

const (
	yamlNull yamlKind = iota
	yamlText
	yamlNumber
	yamlBool
	yamlSequence
	yamlMapping
	yamlOther // what the parser may know beyond these
)

// String names the kind for errors, after "is".
func (k yamlKind) String() string {
	return [...]string{
		"null", "text", "a number", "true or false", "a list", "a mapping", "something else",
	}[k]
}

// yamlNode is a value with the place that it stands at. Keys are nodes too.
type yamlNode struct {
	kind         yamlKind
	text         string // of a scalar
	quoted       bool
	flow         bool // a mapping in braces
	line, column int  // from 1; column in characters

	parent *yamlNode // nil for the root
	name   string    // the key in a mapping, "[2]" in a list

	items   []*yamlNode
	entries []yamlEntry
}

// yamlEntry is one line of a mapping.
type yamlEntry struct {
	name  string
	at    *yamlNode // the key
	value *yamlNode
}

// path leads from the root to n: `tables."public.users".columns.ssn`. Keys
// that could be misread are quoted, and long ones are not repeated.
func (n *yamlNode) path() string {
	if n.parent == nil {
		return ""
	}
	name := n.name
	if !strings.HasPrefix(name, "[") && !plainName(name) {
		name = shown(name)
	}
	switch above := n.parent.path(); {
	case above == "" || strings.HasPrefix(name, "["):
		return above + name
	default:
		return above + "." + name
	}
}

// plainName reports whether s needs no quotes in a path and is short.
func plainName(s string) bool {
	for _, c := range s {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && !strings.ContainsRune("0123456789-", c) {
			return false
		}
	}
	return s != "" && len(s) <= maxShown
}

// newNode turns the parser's tree into ours.
func newNode(n ast.Node, parent *yamlNode, name string) *yamlNode {
	out := &yamlNode{parent: parent, name: name, line: 1, column: 1}
	switch x := n.(type) {
	case nil:
	case *ast.MappingNode:
		out.mapping(x)
	case *ast.SequenceNode:
		out.kind = yamlSequence
		out.place(x.Start)
		for i, item := range x.Values {
			out.items = append(out.items, newNode(item, out, "["+strconv.Itoa(i)+"]"))
		}
	default:
		out.scalar(n)
	}
	return out
}

// mapping stands where its first key stands, or its brace.
func (n *yamlNode) mapping(m *ast.MappingNode) {
	n.kind, n.flow = yamlMapping, m.IsFlowStyle
	n.place(m.Start)
	for i, v := range m.Values {
		var name string
		if tk := v.Key.GetToken(); tk != nil {
			name = tk.Value
		}
		at := newNode(v.Key, n, name)
		if i == 0 && !m.IsFlowStyle {
			n.line, n.column = at.line, at.column
		}
		n.entries = append(n.entries, yamlEntry{name: name, at: at, value: newNode(v.Value, n, name)})
	}
}

// place takes the position of a token, if there is one.
func (n *yamlNode) place(tk *token.Token) {
	if tk != nil && tk.Position != nil {
		n.line, n.column = tk.Position.Line, tk.Position.Column
	}
}

func (n *yamlNode) scalar(x ast.Node) {
	tk := x.GetToken()
	n.place(tk)
	n.kind = yamlOther
	switch s := x.(type) {
	case *ast.NullNode:
		n.kind = yamlNull
	case *ast.StringNode:
		n.kind, n.text = yamlText, s.Value
		n.quoted = tk != nil && (tk.Type == token.SingleQuoteType || tk.Type == token.DoubleQuoteType)
	case *ast.BoolNode:
		n.kind, n.text = yamlBool, tk.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		n.kind, n.text = yamlNumber, tk.Value
	}
}
