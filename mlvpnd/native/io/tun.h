/* The interface's edge: bursts of packets from and to a non-blocking TUN or TAP. Model: mlvpnd/net/tun.py. */
#ifndef MLVPND_TUN_H
#define MLVPND_TUN_H

#include "offload/coalesce.h"
#include "offload/mss.h"
#include "wire/packet.h"

enum { TUN_READ_SIZE = 10 + 14 + 4 + 65535 }; /* bytes: vnet header, Ethernet header with a tag, packet */

struct tun_port {
    int fd;        /* -1: none yet */
    bool is_read;  /* packets are written in any case */
    bool has_vnet; /* each packet has a vnet header in front */
    bool layer2;
    bool joins;            /* packets are joined to super-packets */
    uint32_t mtu;          /* bytes; 0: not known */
    struct mss_limits mss; /* of SYNs, read and written */
    uint64_t packets_read, packets_written, bytes_read, bytes_written;
    uint64_t down, full, refused, malformed; /* packets lost here; `malformed` ones were read */
    uint64_t oversize;                       /* packets read that are longer than the interface takes */
    uint64_t tso_reads, tso_segments, coalesced_writes, coalesced_segments;
    struct coalescer coalescer;
    uint8_t buffer[TUN_READ_SIZE];
};

/* Reads once, and puts the packets behind `out`, owned. 1: there may be more; 0: there is not; -1 with errno. */
int tun_read(struct tun_port *port, struct packet_list *out);
/* Writes all packets of the list, and frees them. */
void tun_write(struct tun_port *port, struct packet_list *packets);

#endif
