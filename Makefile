# Two targets matter on a fresh machine: `make run` starts a server, `make test` proves it. Both bring what they need but Go itself.

SHELL := bash
CACHE := .cache
JAVA  := $(CACHE)/java
UPSTREAM := $(CACHE)/upstream
RUN   := $(CACHE)/bin/gopherwood

# What the fault tests of the quick run do; `make must-show` takes more.
export GOPHERWOOD_E2E_ROUNDS ?= 2

.PHONY: split-brain from-zookeeper help build run test deps check fmt vet staticcheck unit e2e e2e-deps upstream upstream-deps must-show chaos observe-cost bench fuzz fuzz-keep clean

help: ## say what can be made
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

build: ## build ./gopherwood
	go build -o gopherwood ./cmd/gopherwood

run: ## start one server on port 2181 (more arguments: make run ARGS='--client-port 2182')
	@mkdir -p $(dir $(RUN))
	go build -o $(RUN) ./cmd/gopherwood
	exec $(RUN) serve $(ARGS)

test: deps check unit e2e ## prove everything: format, vet, staticcheck, tests under the race detector, real clients

check: fmt vet staticcheck ## look at the source without running it

fmt: ## fail if a Go file is not formatted
	@bad=$$(git ls-files -co --exclude-standard '*.go' | xargs gofmt -l); if [ -n "$$bad" ]; then echo "gofmt these: $$bad"; exit 1; fi

vet: ## go vet
	go vet -pgo=off ./...

staticcheck: ## staticcheck, in the version go.mod names
	go tool staticcheck ./...

unit: ## all Go tests under the race detector, with fuzz seeds, the fixed simulation seeds, and planted bugs that the simulator must find
	go test -pgo=off -race -timeout 15m ./...
	go test -pgo=off -count=1 -tags planted -run 'Planted|Shrink' ./internal/sim

e2e: e2e-deps upstream-deps ## real servers, real clients in five languages, kills under load, a failing network and failing disks; a few of ZooKeeper's, Curator's and kazoo's own tests
	GOPHERWOOD_E2E=1 go test -count=1 -timeout 30m -p 1 -v ./e2e ./e2e/oracle ./e2e/chaos | scripts/quiet-tests
	GOPHERWOOD_E2E=1 go test -count=1 -timeout 15m -v ./e2e/upstream
	GOPHERWOOD_E2E=1 go test -count=1 -timeout 15m ./examples/fsmaster

split-brain: ## pause the active master of a service: with an election and a journal, with fencing, with Raft inside (half a minute)
	go run ./examples/fsmaster/splitbrain

from-zookeeper: ## measure the same service both ways (a quarter of an hour)
	go run ./examples/fsmaster/compare

upstream: upstream-deps ## all of ZooKeeper's, Curator's and kazoo's own tests (about an hour); counts in .cache/upstream/summary.txt
	rm -f $(UPSTREAM)/summary.txt
	GOPHERWOOD_E2E=1 GOPHERWOOD_UPSTREAM=all go test -count=1 -timeout 3h -v ./e2e/upstream

must-show: e2e-deps ## the fault tests and figures in full size (about a quarter of an hour)
	GOPHERWOOD_E2E=1 GOPHERWOOD_E2E_STRICT=1 GOPHERWOOD_E2E_ROUNDS=10 GOPHERWOOD_E2E_SECONDS=600 GOPHERWOOD_E2E_ZNODES=1000000 GOPHERWOOD_E2E_SESSIONS=20000 GOPHERWOOD_E2E_STORM=10000 \
		go test -count=1 -timeout 90m -v -run 'TestFault|TestBounds|TestRestart|TestSnapshot|TestSoak' ./e2e | scripts/quiet-tests
	GOPHERWOOD_E2E=1 GOPHERWOOD_ORACLE_SEEDS=2000 GOPHERWOOD_ORACLE_OPS=300 go test -count=1 -timeout 90m -v ./e2e/oracle | scripts/quiet-tests

chaos: ## half an hour of failing networks, processes and disks under clients whose histories are judged; CHAOS_SECONDS, CHAOS_SEED (needs root)
	GOPHERWOOD_E2E=1 GOPHERWOOD_CHAOS_SECONDS=$(or $(CHAOS_SECONDS),1800) GOPHERWOOD_CHAOS_SEED=$(or $(CHAOS_SEED),$(shell date +%s)) \
		go test -count=1 -timeout 4h -v ./e2e/chaos | scripts/quiet-tests

observe-cost: ## what metrics, slow log and top talkers cost (three minutes; on a machine that does nothing else)
	scripts/observe-cost -c

bench: ## Go benchmarks of every package
	go test -run '^$$' -bench . -benchmem ./...

fuzz: ## every fuzz test for FUZZTIME (20s) each
	scripts/fuzz $(or $(FUZZTIME),20s)

fuzz-keep: ## keep up to 8 of the inputs that fuzzing found interesting, for each fuzz test, in testdata
	scripts/fuzz-keep 8

clean: ## remove what was built and fetched here
	rm -rf $(CACHE) gopherwood gopherwood-data

# What the tests need. Debian's packages are installed only when something is missing.

deps: ## install what the tests need and is missing
	@scripts/deps

e2e-deps: deps $(JAVA)/classes.stamp $(CACHE)/venv.stamp $(CACHE)/c/suite

$(JAVA)/lib.stamp: e2e/java/pom.xml
	rm -rf $(JAVA)/lib
	mkdir -p $(JAVA)
	mvn -B -q -f $< dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=$(CURDIR)/$(JAVA)/lib
	touch $@

$(JAVA)/classes.stamp: $(JAVA)/lib.stamp $(wildcard e2e/java/src/gopherwood/*.java)
	rm -rf $(JAVA)/classes
	mkdir -p $(JAVA)/classes
	javac --release 17 -encoding UTF-8 -nowarn -d $(JAVA)/classes -cp '$(JAVA)/lib/*' e2e/java/src/gopherwood/*.java
	touch $@

$(CACHE)/venv.stamp: e2e/python/requirements.txt
	rm -rf $(CACHE)/venv
	mkdir -p $(CACHE)
	python3 -m venv $(CACHE)/venv
	$(CACHE)/venv/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(CACHE)/c/suite: e2e/c/suite.c
	mkdir -p $(CACHE)/c
	gcc -std=gnu11 -O1 -g -Wall -Wextra -o $@ $< -lzookeeper_mt -lpthread

# The projects' own tests, as they were released, and the adapter in front of them.

upstream-deps: deps $(UPSTREAM)/classes.stamp $(UPSTREAM)/venv.stamp

$(UPSTREAM)/lib.stamp: e2e/upstream/java/pom.xml
	rm -rf $(UPSTREAM)/lib
	mkdir -p $(UPSTREAM)
	mvn -B -q -f $< dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=$(CURDIR)/$(UPSTREAM)/lib
	touch $@

$(UPSTREAM)/classes.stamp: $(UPSTREAM)/lib.stamp $(shell find e2e/upstream/java/src e2e/upstream/java/resources -type f)
	rm -rf $(UPSTREAM)/classes
	mkdir -p $(UPSTREAM)/classes
	javac --release 17 -encoding UTF-8 -nowarn -d $(UPSTREAM)/classes -cp '$(UPSTREAM)/lib/*' $(filter %.java,$^)
	cp -r e2e/upstream/java/resources/. $(UPSTREAM)/classes
	touch $@

$(UPSTREAM)/venv.stamp: e2e/upstream/python/requirements.txt
	rm -rf $(UPSTREAM)/venv
	mkdir -p $(UPSTREAM)
	python3 -m venv $(UPSTREAM)/venv
	$(UPSTREAM)/venv/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@
