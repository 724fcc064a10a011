//go:build !planted

package main

import "errors"

const plantedUsage = "plant this `bug`; only in builds with -tags planted"

func plantBug(name string) error {
	if name != "" {
		return errors.New("-planted: this build has no bugs to plant; build with -tags planted")
	}
	return nil
}
