// MetalLB's native BGP without the speaker around it, for `cargo xtask bench bgp`.
//
// Arguments: this side's address, then the peers'. Each line of standard input is the number of routes
// that all peers shall know from then on. When the input ends, the process does.
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/go-kit/log"
	"go.universe.tf/metallb/internal/bgp"
	"go.universe.tf/metallb/internal/bgp/native"
)

const (
	ownASN  = 64512
	peerASN = 64513
)

func main() {
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(local string, peers []string) error {
	logger := log.NewLogfmtLogger(os.Stderr)
	manager := native.NewSessionManager(logger)
	var sessions []bgp.Session
	for _, peer := range peers {
		session, err := manager.NewSession(logger, bgp.SessionParameters{
			PeerAddress:   peer,
			PeerPort:      179,
			SourceAddress: net.ParseIP(local),
			MyASN:         ownASN,
			RouterID:      net.ParseIP(local),
			PeerASN:       peerASN,
			SessionName:   peer,
		})
		if err != nil {
			return err
		}
		sessions = append(sessions, session)
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		count, err := strconv.Atoi(lines.Text())
		if err != nil {
			return err
		}
		// As its speaker does: all of them, whatever has changed.
		advertisements := make([]*bgp.Advertisement, 0, count)
		for number := 0; number < count; number++ {
			prefix := &net.IPNet{
				IP:   net.IPv4(10, 77, byte(number>>8), byte(number)).To4(),
				Mask: net.CIDRMask(32, 32),
			}
			advertisements = append(advertisements, &bgp.Advertisement{Prefix: prefix})
		}
		for _, session := range sessions {
			if err := session.Set(advertisements...); err != nil {
				return err
			}
		}
	}
	return lines.Err()
}
