#include "wire/packet.h"

#include <stdlib.h>
#include <string.h>

enum { KEPT_LIMIT = 1024 }; /* buffers that a thread keeps for later: 2 MiB */

static _Thread_local struct packet *kept;
static _Thread_local unsigned kept_count;

struct packet *packet_new(size_t size) {
    size_t capacity = PACKET_HEADROOM + size;
    struct packet *packet;
    if (capacity <= PACKET_USUAL && kept) {
        packet = kept;
        kept = packet->next;
        kept_count--;
    } else {
        if (capacity < PACKET_USUAL)
            capacity = PACKET_USUAL;
        packet = malloc(sizeof *packet + capacity);
        if (!packet)
            return NULL;
        packet->buffer = (uint8_t *)(packet + 1);
        packet->capacity = (uint32_t)capacity;
    }
    uint8_t *buffer = packet->buffer;
    uint32_t room = packet->capacity;
    *packet = (struct packet){.buffer = buffer, .capacity = room};
    packet->data = buffer + PACKET_HEADROOM;
    packet->size = (uint32_t)size;
    return packet;
}

struct packet *packet_copy(const uint8_t *data, size_t size) {
    struct packet *packet = packet_new(size);
    if (packet && size)
        memcpy(packet->data, data, size);
    return packet;
}

struct packet *packet_keep(struct packet *packet) {
    if (packet->buffer)
        return packet;
    struct packet *copy = packet_copy(packet->data, packet->size);
    if (!copy)
        return NULL;
    copy->line_size = packet->line_size;
    copy->data_seq = packet->data_seq;
    copy->after = packet->after;
    copy->arrived = packet->arrived;
    copy->link = packet->link;
    copy->flow = packet->flow;
    copy->reorder = packet->reorder;
    return copy;
}

void packet_free(struct packet *packet) {
    if (!packet->buffer)
        return;
    if (packet->capacity == PACKET_USUAL && kept_count < KEPT_LIMIT) {
        packet->next = kept;
        kept = packet;
        kept_count++;
    } else {
        free(packet);
    }
}

void packet_trim(void) {
    while (kept) {
        struct packet *packet = kept;
        kept = packet->next;
        free(packet);
    }
    kept_count = 0;
}

void packet_list_free(struct packet_list *list) {
    struct packet *packet;
    while ((packet = packet_list_pop(list)))
        packet_free(packet);
}

void packet_list_sort(struct packet_list *list) {
    if (list->count < 2)
        return;
    struct packet_list one = {0}, other = {0};
    for (size_t half = list->count / 2; half; half--)
        packet_list_push(&one, packet_list_pop(list));
    packet_list_join(&other, list);
    packet_list_sort(&one);
    packet_list_sort(&other);
    while (one.first && other.first)
        packet_list_push(list, packet_list_pop(one.first->data_seq <= other.first->data_seq ? &one : &other));
    packet_list_join(list, &one);
    packet_list_join(list, &other);
}
