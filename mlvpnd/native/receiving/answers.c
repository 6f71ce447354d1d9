#include "receiving/answers.h"

#include <math.h>

static const double ANSWER_INTERVAL = 0.9, QUICK_GAP = 0.06, QUICK_PAUSE = 1.5 * 0.02;

void answers_begin(struct answer_pace *pace) {
    *pace = (struct answer_pace){.answered_at = -INFINITY, .heard_at = -INFINITY};
}

bool answers_one(struct answer_pace *pace, double now, double sent_at) {
    bool quick = now - pace->heard_at < QUICK_GAP;
    pace->heard_at = now;
    pace->unanswered++;
    bool due = now >= pace->answered_at + ANSWER_INTERVAL;
    if (!due && !(quick && pace->unanswered >= 2 && now >= sent_at + QUICK_PAUSE))
        return false;
    pace->answered_at = now;
    pace->unanswered = 0;
    return true;
}
