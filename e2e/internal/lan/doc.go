// Package lan is a local network for tests: hosts that are network namespaces of the kernel, with its own TCP, and between them a switch
// that is this process. Every packet passes through it, so what happens to packets is decided here: they can be lost, late, doubled,
// overtaken, throttled or cut off, for each direction of each pair of hosts.
//
//	┌ namespace ────────┐                               ┌ namespace ────────┐
//	│ a server          │                               │ a server          │
//	│ 10.73.0.1 on tun0 │◀── packets ── LAN ── packets ─▶│ 10.73.0.2 on tun0 │
//	└───────────────────┘                ▲              └───────────────────┘
//	┌ the test's own namespace ─┐        │  ┌ namespace ─────────┐
//	│ 10.73.0.254 on tun0       │◀───────┴─▶│ clients of a host  │
//	└───────────────────────────┘           └────────────────────┘
//
// Nothing but the kernel's tun device is needed: no bridge, no firewall, no netem, which not every kernel has. All of it belongs to this
// process, so it is gone when the process is. Sandbox sees to that for processes and mounts, too.
//
// The hosts' side is real; the network is not: there is no link layer and no congestion but what a Weather says. It needs Linux and
// root. Only end-to-end tests use it.
package lan
