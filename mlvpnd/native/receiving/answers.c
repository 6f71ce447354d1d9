#include "receiving/answers.h"

#include <math.h>

#include "generated.h"

void answers_begin(struct answer_pace *pace) {
    *pace = (struct answer_pace){.answered_at = -INFINITY, .heard_at = -INFINITY};
}

bool answers_one(struct answer_pace *pace, double now, double sent_at) {
    bool quick = now - pace->heard_at < PROTOCOL_QUICK_GAP;
    pace->heard_at = now;
    pace->unanswered++;
    bool due = now >= pace->answered_at + PROTOCOL_ANSWER_INTERVAL;
    if (!due && !(quick && pace->unanswered >= 2 && now >= sent_at + ANSWERS_QUICK_PAUSE))
        return false;
    pace->answered_at = now;
    pace->unanswered = 0;
    return true;
}
