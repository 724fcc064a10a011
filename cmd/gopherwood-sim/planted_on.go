//go:build planted

package main

import (
	"fmt"
	"strings"

	"gopherwood/internal/planted"
)

const plantedUsage = "plant this `bug`, to see that it is found (internal/planted has the list)"

func plantBug(name string) error {
	if name == "" || planted.Plant(name) {
		return nil
	}
	var names []string
	for _, b := range planted.All() {
		names = append(names, string(b))
	}
	return fmt.Errorf("-planted: there is no bug %q; there are %s", name, strings.Join(names, ", "))
}
