// A client of pion's TURN library: it allocates over UDP, TCP or TLS, sends numbered messages to an echo
// peer through the relay, and expects each one back.
//
// Arguments: transport, relay address, peer address, username, certificate authority. The password
// comes as the first line of standard input. It ends with "DONE n".
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"strings"
	"time"

	"github.com/pion/turn/v4"
)

const (
	messages = 200
	patience = 30 * time.Second
)

func main() {
	log.SetFlags(0)
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]); err != nil {
		log.Fatalf("pion: %v", err)
	}
	fmt.Printf("DONE %d\n", messages)
}

func run(transport, relay, peer, username, authority string) error {
	password, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil {
		return err
	}
	link, err := connect(transport, relay, authority)
	if err != nil {
		return err
	}
	client, err := turn.NewClient(&turn.ClientConfig{
		STUNServerAddr: relay,
		TURNServerAddr: relay,
		Conn:           link,
		Username:       username,
		Password:       strings.TrimSuffix(password, "\n"),
	})
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.Listen(); err != nil {
		return err
	}
	relayed, err := client.Allocate()
	if err != nil {
		return fmt.Errorf("allocate: %w", err)
	}
	to, err := net.ResolveUDPAddr("udp", peer)
	if err != nil {
		return err
	}
	if err := echo(relayed, to); err != nil {
		return err
	}
	return relayed.Close()
}

func connect(transport, relay, authority string) (net.PacketConn, error) {
	switch transport {
	case "udp":
		return net.ListenPacket("udp", "0.0.0.0:0")
	case "tcp":
		link, err := net.Dial("tcp", relay)
		if err != nil {
			return nil, err
		}
		return turn.NewSTUNConn(link), nil
	case "tls":
		pem, err := os.ReadFile(authority)
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		// RFC 7443 names the protocol.
		link, err := tls.Dial("tcp", relay, &tls.Config{RootCAs: roots, NextProtos: []string{"stun.turn"}})
		if err != nil {
			return nil, err
		}
		if chosen := link.ConnectionState().NegotiatedProtocol; chosen != "stun.turn" {
			return nil, fmt.Errorf("the relay chose the protocol %q", chosen)
		}
		return turn.NewSTUNConn(link), nil
	}
	return nil, errors.New("the transport is udp, tcp or tls")
}

// echo sends one message at a time: the first go in indications, the rest in a channel, which the
// library binds meanwhile.
func echo(relayed net.PacketConn, peer net.Addr) error {
	if err := relayed.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	received := make([]byte, 1500)
	for number := range messages {
		sent := fmt.Sprintf("message %d", number)
		if _, err := relayed.WriteTo([]byte(sent), peer); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		length, from, err := relayed.ReadFrom(received)
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		if string(received[:length]) != sent || from.String() != peer.String() {
			return fmt.Errorf("expected %q, received %q from %v", sent, received[:length], from)
		}
	}
	return nil
}
