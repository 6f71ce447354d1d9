/* Inner packets: buffers with room in front for a header, and lists of them.

   A packet is owned (its bytes are in a buffer of its own) or borrowed (they lie in a buffer that is soon read into
   again). Call packet_keep to keep a packet longer than the call that brought it. */
#ifndef MLVPND_PACKET_H
#define MLVPND_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PACKET_HEADROOM = 64, /* bytes in front of an owned packet: MLVPN's header, the MAC, and alignment */
    PACKET_USUAL = 2048,  /* bytes, headroom included, of a buffer that is kept for the next packet */
};

struct packet {
    struct packet *next;
    uint8_t *data;      /* the packet */
    uint32_t size;      /* its bytes */
    uint32_t line_size; /* bytes that it takes on the line: scheduling counts these */
    uint64_t data_seq;
    int64_t after;     /* scheduling: earliest departure, in nanoseconds */
    double arrived;    /* reordering: when it came, in seconds */
    int32_t link;      /* the link by which it came, or will leave */
    bool reorder;      /* whether data_seq is its number in the common stream */
    uint8_t *buffer;   /* NULL: borrowed */
    uint32_t capacity; /* bytes of the buffer */
    uint32_t flow;     /* scheduling: the bucket of its flow */
};

struct packet_list {
    struct packet *first, *last;
    size_t count;
};

/* An owned packet with room for `size` bytes behind the headroom; NULL: no memory. */
struct packet *packet_new(size_t size);
/* The same, with these bytes in it. */
struct packet *packet_copy(const uint8_t *data, size_t size);
/* The packet itself if it is owned, or an owned copy with all its fields; NULL: no memory. */
struct packet *packet_keep(struct packet *packet);
/* Gives an owned packet back; nothing for a borrowed one. */
void packet_free(struct packet *packet);
/* Gives the buffers that the calling thread keeps back to the system. */
void packet_trim(void);

static inline void packet_list_push(struct packet_list *list, struct packet *packet) {
    packet->next = NULL;
    if (list->last)
        list->last->next = packet;
    else
        list->first = packet;
    list->last = packet;
    list->count++;
}

/* Puts a packet in front of all others. */
static inline void packet_list_push_front(struct packet_list *list, struct packet *packet) {
    packet->next = list->first;
    list->first = packet;
    if (!list->last)
        list->last = packet;
    list->count++;
}

static inline struct packet *packet_list_pop(struct packet_list *list) {
    struct packet *packet = list->first;
    if (packet) {
        list->first = packet->next;
        if (!list->first)
            list->last = NULL;
        list->count--;
        packet->next = NULL;
    }
    return packet;
}

/* Puts all of `more` behind `list`; `more` is empty then. */
static inline void packet_list_join(struct packet_list *list, struct packet_list *more) {
    if (!more->first)
        return;
    if (list->last)
        list->last->next = more->first;
    else
        list->first = more->first;
    list->last = more->last;
    list->count += more->count;
    *more = (struct packet_list){0};
}

void packet_list_free(struct packet_list *list);
/* Sorts by data_seq; equal ones stay in order. */
void packet_list_sort(struct packet_list *list);

#endif
