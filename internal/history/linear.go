package history

import (
	"fmt"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"gopherwood/zk"
)

// register is a znode as Linearizable knows it: no zxids, so that nothing is assumed of them.
type register struct {
	exists  bool
	data    string
	version int32
}

// model is a znode for porcupine. Input and output are in one *Op. A write without an answer stays open for ever, so it may as well
// happen after everything else, which is as if it had not happened.
var model = porcupine.Model{
	Init: func() any { return register{} },
	Step: func(state, input, _ any) (bool, any) {
		o := input.(*Op)
		was := state.(register)
		now, ok := o.apply(node{exists: was.exists, data: was.data, version: was.version}, 0)
		next := register{now.exists, now.data, now.version}
		switch {
		case !o.Answered():
			if ok {
				return true, next
			}
			return true, was
		case o.Kind == Read && o.Code == zk.OK:
			return was.exists && was.data == o.ReadData && was.version == o.Stat.Version, was
		case o.Code == zk.OK:
			return ok && (o.Kind != Set || o.Stat.Version == next.version), next
		case o.Code == zk.ErrNoNode:
			return o.Kind != Create && !was.exists, was
		case o.Code == zk.ErrNodeExists:
			return o.Kind == Create && was.exists, was
		case o.Code == zk.ErrBadVersion:
			return o.Kind != Create && was.exists && o.Version >= 0 && o.Version != was.version, was
		}
		return false, was
	},
	DescribeOperation: func(input, _ any) string { return input.(*Op).String() },
}

// Linearizable asks porcupine, path by path, whether the writes and the reads after a sync can be put in one order that agrees with the clock.
// Paths with ephemerals are left to Replay: nobody reports when a session ends. The second result counts the paths that took
// longer than the given time.
func Linearizable(h *History, perPath time.Duration) ([]Violation, int) {
	v := verdicts{check: "linearizable"}
	undecided := 0
	of, paths := h.byPath()
	for _, p := range paths {
		if slices.ContainsFunc(of[p], func(o *Op) bool { return o.Kind == Create && o.Mode.IsEphemeral() }) {
			continue
		}
		var ops []porcupine.Operation
		for _, o := range of[p] {
			if o.Kind == Read && (!o.Synced || !o.Answered()) {
				continue
			}
			ops = append(ops, porcupine.Operation{Input: o, Call: o.Call, Return: o.Return})
		}
		result, info := porcupine.CheckOperationsVerbose(model, ops, perPath)
		switch result {
		case porcupine.Unknown:
			undecided++
		case porcupine.Illegal:
			v.say("%s: %s", p, longest(info, of[p]))
		}
	}
	return v.found, undecided
}

// longest tells how far porcupine came.
func longest(info porcupine.LinearizationInfo, ops []*Op) string {
	best := 0
	for _, partition := range info.PartialLinearizations() {
		for _, order := range partition {
			best = max(best, len(order))
		}
	}
	text := fmt.Sprintf("no order of its %d operations is right; at most %d can be put in one. All of them:", len(ops), best)
	for _, o := range ops[:min(len(ops), 4*maxStory)] {
		text += "\n  " + o.String()
	}
	return text
}
