package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/rowseal/rowseal/rotate"
)

// whatIsNext is a column's stage, what is left and the next step, in a sentence.
func whatIsNext(ctx context.Context, m *rotate.Move) (string, error) {
	stage, err := m.Stage(ctx)
	if err != nil {
		return "", err
	}
	at := fmt.Sprintf("it takes over from %s; ", m.Plain())
	if stage == rotate.StagePreparing || stage == rotate.StagePrepared {
		left, err := m.Left(ctx)
		if err != nil {
			return "", err
		}
		at += fmt.Sprintf("%d rows are not sealed yet, %d have a value in clear; ", left.Unsealed, left.Plain)
		return at + "next: " + nextStep(m, stage, left), nil
	}
	return at + "next: " + nextStep(m, stage, rotate.Left{}), nil
}

// nextStep says what an operator does next.
func nextStep(m *rotate.Move, stage rotate.Stage, left rotate.Left) string {
	c := m.Column()
	command := fmt.Sprintf("rowseal rotate seal --table %s --column %s", shellWord(c.Table().Name()), shellWord(c.Name()))
	switch stage {
	case rotate.StageClear, rotate.StagePreparing:
		return command
	case rotate.StageSwapped:
		return command + " --step swap"
	case rotate.StageFinished, rotate.StageSealed:
		next := fmt.Sprintf("write %s: {id: %s, …} without `transition` in place of %s in the policy, and deploy it", m.Plain(), c.Field().Column(), c.Name())
		if c.Transition().Plain == "" {
			next = "nothing"
		}
		if stage == rotate.StageFinished {
			next = strings.TrimPrefix(next+", then ", "nothing, then ") + fmt.Sprintf("rowseal rotate seal --table %s --column %s --step drop --yes", shellWord(c.Table().Name()), shellWord(m.Plain()))
		}
		return next
	}
	switch {
	case left.Unsealed > 0 || !c.Transition().Both && left.Plain > 0:
		return command
	case c.Transition().Both:
		return "deploy `write: sealed`, then " + command + " empties the plain column; or --step swap at once, which keeps the values in clear until the drop"
	}
	return command + " --step swap; or --step drop-plain, where the sealed column is to keep its name"
}

// shellWord quotes a name for a shell, where it needs that.
func shellWord(name string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_.-", r)
	}
	if name != "" && !strings.ContainsFunc(name, func(r rune) bool { return !plain(r) }) {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}
