/* Twin of mlvpnd/protocol/links/answers.py: which of the peer's KEEPALIVEs are answered by one. */
#ifndef MLVPND_ANSWERS_H
#define MLVPND_ANSWERS_H

#include <stdbool.h>

struct answer_pace {
    double answered_at, heard_at; /* seconds */
    unsigned unanswered;
};

void answers_begin(struct answer_pace *pace);
/* Whether to answer the KEEPALIVE that comes now; `sent_at`: when a packet last left on this link. */
bool answers_one(struct answer_pace *pace, double now, double sent_at);

#endif
