package replicatest

import (
	"cmp"
	"encoding/binary"
	"math"
	"reflect"
	"slices"

	"github.com/cespare/xxhash/v2"

	"gopherwood/replica"
)

// print is a fingerprint of a result: equal for equal values, wherever they lie in memory.
type print uint64

// maxDepth bounds the walk through a result: deeper it is taken for a cycle, and what is there counts for nothing.
const maxDepth = 64

// printOf walks through a value, unexported fields included.
func printOf(v any) print {
	h := xxhash.New()
	walk(h, reflect.ValueOf(v), 0)
	return print(h.Sum64())
}

func walk(h *xxhash.Digest, v reflect.Value, depth int) {
	if !v.IsValid() || depth > maxDepth {
		put(h, 0)
		return
	}
	put(h, uint64(v.Kind())+1)
	switch v.Kind() {
	case reflect.Bool:
		if v.Bool() {
			put(h, 1)
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		put(h, uint64(v.Int()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		put(h, v.Uint())
	case reflect.Float32, reflect.Float64:
		put(h, math.Float64bits(v.Float()))
	case reflect.Complex64, reflect.Complex128:
		put(h, math.Float64bits(real(v.Complex())))
		put(h, math.Float64bits(imag(v.Complex())))
	case reflect.String:
		put(h, uint64(v.Len()))
		_, _ = h.WriteString(v.String()) // never fails
	case reflect.Pointer, reflect.Interface:
		if v.Kind() == reflect.Interface && !v.IsNil() {
			_, _ = h.WriteString(v.Elem().Type().String())
		}
		walk(h, v.Elem(), depth+1)
	case reflect.Slice, reflect.Array:
		put(h, uint64(v.Len()))
		for i := range v.Len() {
			walk(h, v.Index(i), depth+1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			walk(h, v.Field(i), depth+1)
		}
	case reflect.Map:
		walkMap(h, v, depth)
	case reflect.Chan, reflect.Func, reflect.UnsafePointer: // nothing to compare but whether there is one
		put(h, uint64(min(1, v.Pointer())))
	}
}

// walkMap goes through the entries in the order of their own fingerprints.
func walkMap(h *xxhash.Digest, v reflect.Value, depth int) {
	put(h, uint64(v.Len()))
	var prints []uint64
	for it := v.MapRange(); it.Next(); {
		one := xxhash.New()
		walk(one, it.Key(), depth+1)
		walk(one, it.Value(), depth+1)
		prints = append(prints, one.Sum64())
	}
	slices.SortFunc(prints, cmp.Compare)
	for _, p := range prints {
		put(h, p)
	}
}

func put(h *xxhash.Digest, v uint64) {
	_, _ = h.Write(binary.LittleEndian.AppendUint64(nil, v)) // never fails
}

// state is what an instance is like: its digest if it has one, otherwise a hash of its snapshot.
func (k *Kit) state(sm replica.StateMachine) (s uint64, err error) {
	if d, ok := sm.(replica.Digester); ok {
		err = k.guard("Digest", func() error {
			s = d.Digest()
			return nil
		})
		return s, err
	}
	b, err := k.write(sm)
	return xxhash.Sum64(b), err
}

// write is an instance's snapshot.
func (k *Kit) write(sm replica.StateMachine) (b []byte, err error) {
	v, err := k.view(sm)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	return k.writeView(v)
}

func (k *Kit) view(sm replica.StateMachine) (v replica.View, err error) {
	err = k.guard("View", func() error {
		if v, err = sm.View(); err != nil {
			return k.failure("can't make a view: %w", err)
		}
		if v == nil {
			return k.failure("returns no view and no error")
		}
		return nil
	})
	return v, err
}

func (k *Kit) writeView(v replica.View) (b []byte, err error) {
	w := &slowWriter{}
	err = k.guard("View.WriteTo", func() error {
		n, err := v.WriteTo(w)
		switch {
		case err != nil:
			return k.failure("can't write its snapshot: %v", err)
		case n != int64(len(w.b)):
			return k.failure("says that its snapshot has %d bytes, and wrote %d", n, len(w.b))
		}
		return nil
	})
	return w.b, err
}

// describeState says by what states are compared.
func describeState(sm replica.StateMachine) string {
	if _, ok := sm.(replica.Digester); ok {
		return "digest"
	}
	return "snapshot (it has no Digest, so that equal states must have equal snapshots)"
}
