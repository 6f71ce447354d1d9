/*
 * The rate of a line that follows a trace file, for linkemu.c.
 *
 * A line of the file is "MILLISECONDS RATE": a time, and its rate in bit/s; at
 * rate 0 nothing passes. Then the next line holds, and after the last line the
 * first again. Empty lines and lines that begin with # are ignored. Time 0 is
 * when the first frame meets the trace.
 *
 * A file is read once, when it is first named. Both directions may share it.
 */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct step {
	int64_t end;	/* ns from the trace's begin */
	double rate;	/* bit/s */
};

struct trace {
	char *name;
	struct step *steps;
	size_t n;
	int64_t period;	/* ns */
	double bits;	/* in a period */
	struct trace *next;
};

static struct trace *traces;

static bool trace_read(struct trace *t, FILE *file)
{
	char line[256];
	while (fgets(line, sizeof line, file)) {
		double ms, rate;
		char rest[2], *text = line + strspn(line, " \t\r\n");
		if (!*text || *text == '#')
			continue;
		if (sscanf(text, "%lf %lf %1s", &ms, &rate, rest) != 2 ||
		    !(ms > 0 && ms <= 1e9 && rate >= 0 && rate <= 1e12))
			return false;
		struct step *more = realloc(t->steps, (t->n + 1) * sizeof *more);
		if (!more)
			return false;
		t->steps = more;
		t->period += ms * 1e6;
		t->bits += rate * ms / 1e3;
		t->steps[t->n++] = (struct step){ t->period, rate };
	}
	return t->bits > 0;
}

/* The trace of the file, or NULL if it cannot be read, makes no sense or never lets anything pass. */
static const struct trace *trace_named(const char *name)
{
	for (struct trace *t = traces; t; t = t->next)
		if (!strcmp(t->name, name))
			return t;
	struct trace *t = calloc(1, sizeof *t);
	FILE *file = fopen(name, "r");
	bool good = t && file && (t->name = strdup(name)) && trace_read(t, file);
	if (file)
		fclose(file);
	if (!good) {
		if (t) {
			free(t->name);
			free(t->steps);
		}
		free(t);
		return NULL;
	}
	t->next = traces;
	return traces = t;
}

static size_t trace_step(const struct trace *t, int64_t phase)
{
	size_t low = 0, high = t->n - 1;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (t->steps[middle].end > phase)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static double trace_mean_rate(const struct trace *t)
{
	return t->bits * 1e9 / t->period;
}

/* The bits that pass between two times, in ns from the trace's begin. */
static double trace_bits(const struct trace *t, int64_t from, int64_t to)
{
	double bits = (to - from) / t->period * t->bits;
	int64_t phase = from % t->period, left = (to - from) % t->period;
	for (size_t i = trace_step(t, phase); left > 0; i = (i + 1) % t->n) {
		int64_t part = t->steps[i].end - phase;
		if (part > left)
			part = left;
		bits += part * t->steps[i].rate / 1e9;
		left -= part;
		phase = (phase + part) % t->period;
	}
	return bits;
}

/* When bits that begin to pass at a time have all passed; both times in ns from the trace's begin. */
static int64_t trace_after(const struct trace *t, int64_t from, double bits)
{
	double whole = floor(bits / t->bits);
	int64_t phase = from % t->period, base = from - phase + whole * t->period;
	bits -= whole * t->bits;
	for (size_t i = trace_step(t, phase);; i = (i + 1) % t->n) {
		double passing = (t->steps[i].end - phase) * t->steps[i].rate / 1e9;
		if (t->steps[i].rate > 0 && passing >= bits)
			return base + phase + bits * 1e9 / t->steps[i].rate;
		bits -= passing;
		phase = t->steps[i].end;
		if (phase == t->period) {
			phase = 0;
			base += t->period;
		}
	}
}
