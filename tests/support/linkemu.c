/*
 * linkemu - a line between two network interfaces, emulated.
 *
 * Frames that arrive on interface A leave on interface B and the other way
 * round, after passing a line with a rate, a queue, a delay, jitter, loss,
 * reordering, duplication and corruption of its own in each direction.
 * It stands in for the netem queueing discipline where the kernel has none.
 *
 *     linkemu [--ab SPEC] [--ba SPEC] [--seed N] [--fifo N] IFACE_A IFACE_B
 *
 * --seed is the seed of the random numbers (default 1). --fifo asks for
 * SCHED_FIFO with this priority. Each direction has its own random numbers, and
 * its losses have numbers of their own. So with the same seed and loss, whether
 * the n-th frame on a direction's line is lost depends on nothing else.
 *
 * A SPEC is a list of KEY=VALUE with commas between; plain numbers:
 *       rate=8000000     serialisation rate in bit/s; 0 is unlimited
 *       trace=FILE       the rate follows a file, see linkemu_trace.h; nothing
 *                        after the = ends that. No comma or space in the name
 *       queue=100000     longest wait before the rate, in us; a frame that
 *                        would wait longer is dropped (two always fit). Under a
 *                        trace: the bits of this time at the mean rate
 *       delay=20000      propagation delay in us
 *       jitter=5000      the delay varies by +- this many us
 *       order=1          1: frames keep their order under jitter; 0: each has
 *                        a delay of its own and may overtake others
 *       loss=0.005       share of frames lost, each for itself
 *       burst_in=0.01    bursty loss (Gilbert-Elliott): from good to bad,
 *       burst_out=0.2    from bad to good; all is lost while it is bad
 *       reorder=0.01     share that skips the delay, overtaking the others
 *       duplicate=0.01   share delivered twice
 *       corrupt=0.01     share with one bit flipped, past the Ethernet header
 *       up=1             0: every frame is lost, also those on the line (a dead
 *                        line whose carrier stays)
 *
 * It writes "ready" and a newline when it forwards, then answers each line on
 * standard input with one line on standard output, until the input ends:
 *       set ab|ba|both SPEC     change the keys named, keep the others: "ok"
 *       stats                   counters as one JSON object
 *       reset                   set the counters to zero: "ok"
 * and "error: ..." if it does not understand.
 *
 * A frame is lost on the line, after the rate, so it has taken line time. A frame
 * that overflows the queue, or meets up=0, has taken none. When the keys change,
 * frames already on the line keep their times.
 *
 * The far ends of both interfaces need their segmentation and checksum offloads
 * off. With segmentation offload, frames are longer than the MTU; they are
 * dropped and counted as "oversize". A veth with rx offload does not check
 * checksums, so it would let corrupted frames through.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <math.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "linkemu_trace.h"

#define BATCH 64
#define NS 1000000000LL
#define LATE_STEP 20000LL	/* ns; lateness is counted in these steps ... */
#define LATE_STEPS 2500		/* ... up to 50 ms; the last step holds all above */
#define MAX_FRAME (1500 + ETH_HLEN)
#define FRAME_ROOM (MAX_FRAME + 4)	/* and a VLAN tag */
#define PACKET_BUFFER (32 << 20)	/* bytes; a second at 200 Mbit/s and some */

struct spec {
	double rate, queue, delay, jitter;	/* bit/s; us */
	double loss, burst_in, burst_out, reorder, duplicate, corrupt;	/* 0..1 */
	double order, up;
	const struct trace *trace;	/* or NULL */
};

static const struct key {
	const char *name;
	size_t offset;
	double max;
} keys[] = {
	{ "rate", offsetof(struct spec, rate), 1e12 },
	{ "queue", offsetof(struct spec, queue), 1e8 },
	{ "delay", offsetof(struct spec, delay), 1e8 },
	{ "jitter", offsetof(struct spec, jitter), 1e8 },
	{ "loss", offsetof(struct spec, loss), 1 },
	{ "burst_in", offsetof(struct spec, burst_in), 1 },
	{ "burst_out", offsetof(struct spec, burst_out), 1 },
	{ "reorder", offsetof(struct spec, reorder), 1 },
	{ "duplicate", offsetof(struct spec, duplicate), 1 },
	{ "corrupt", offsetof(struct spec, corrupt), 1 },
	{ "order", offsetof(struct spec, order), 1 },
	{ "up", offsetof(struct spec, up), 1 },
};

struct stats {
	uint64_t rx, rx_bytes, tx, tx_bytes, lost, overflow, down, reordered,
	    duplicated, corrupted, oversize, kernel_drops, send_errors;
	int64_t late_max, late_sum;	/* ns between due and sent */
	uint64_t late[LATE_STEPS];	/* frames by it */
};

struct frame {
	int64_t due;
	uint64_t number;
	uint32_t len;
	struct frame *next;	/* in the pool */
	unsigned char data[FRAME_ROOM];
};

struct random {
	uint64_t state[2];
};

struct direction {
	struct spec s;
	struct stats st;
	struct random losses, others;
	const struct trace *trace;	/* whose time counts from trace_from */
	int64_t trace_from;
	int rx_fd, tx_fd;
	int64_t free_at;	/* when the rate stage is idle again */
	int64_t last_due;	/* keeps the order under jitter */
	bool burst;
	struct frame **heap;
	size_t n, cap;
	struct frame *in[BATCH];
};

static struct direction directions[2];
static struct frame *pool;
static uint64_t frames_scheduled;

static void die(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fputs("linkemu: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS + t.tv_nsec;
}

/* xorshift128+: quick, and the same sequence for the same seed */
static double rnd(struct random *r)
{
	uint64_t a = r->state[0], b = r->state[1];
	r->state[0] = b;
	a ^= a << 23;
	r->state[1] = a ^ b ^ (a >> 17) ^ (b >> 26);
	return ((r->state[1] + b) >> 11) * 0x1.0p-53;
}

static void seed(struct random *r, uint64_t *x)
{
	for (int i = 0; i < 2; i++) {	/* splitmix64 */
		uint64_t z = (*x += 0x9e3779b97f4a7c15ULL);
		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
		z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
		r->state[i] = z ^ (z >> 31);
	}
}

static bool chance(struct random *r, double p)
{
	return p > 0 && rnd(r) < p;
}

/* ---- frames, and the heap of those on the line ---- */

static struct frame *frame_get(void)
{
	struct frame *f = pool;
	if (f) {
		pool = f->next;
		return f;
	}
	f = malloc(sizeof *f);
	if (!f)
		die("out of memory");
	return f;
}

static void frame_put(struct frame *f)
{
	f->next = pool;
	pool = f;
}

static bool before(const struct frame *a, const struct frame *b)
{
	return a->due != b->due ? a->due < b->due : a->number < b->number;
}

static void heap_push(struct direction *d, struct frame *f)
{
	if (d->n == d->cap) {
		d->cap = d->cap ? d->cap * 2 : 1024;
		d->heap = realloc(d->heap, d->cap * sizeof *d->heap);
		if (!d->heap)
			die("out of memory");
	}
	size_t i = d->n++;
	while (i && before(f, d->heap[(i - 1) / 2])) {
		d->heap[i] = d->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	d->heap[i] = f;
}

static struct frame *heap_pop(struct direction *d)
{
	struct frame *top = d->heap[0], *f = d->heap[--d->n];
	size_t i = 0;
	for (;;) {
		size_t c = 2 * i + 1;
		if (c >= d->n)
			break;
		if (c + 1 < d->n && before(d->heap[c + 1], d->heap[c]))
			c++;
		if (!before(d->heap[c], f))
			break;
		d->heap[i] = d->heap[c];
		i = c;
	}
	d->heap[i] = f;
	return top;
}

/* ---- the line ---- */

/* When the frame has left the rate stage, or -1 if the queue before it is full. */
static int64_t serialise(struct direction *d, uint32_t len, int64_t now)
{
	if (d->trace != d->s.trace) {
		d->trace = d->s.trace;
		d->trace_from = now;
	}
	const struct trace *t = d->trace;
	if (!t && d->s.rate <= 0)
		return now;
	if (d->free_at < now)
		d->free_at = now;
	/* The waiting bits, and how long they wait. Under a trace the queue is as long as at the mean rate. */
	double bits = len * 8.0, rate = t ? trace_mean_rate(t) : d->s.rate;
	int64_t from = d->free_at - d->trace_from;
	double wait = d->free_at - now;
	if (t)
		wait = trace_bits(t, now - d->trace_from, from) * 1e9 / rate;
	if (wait > d->s.queue * 1e3 && wait > bits * 1e9 / rate)
		return -1;
	if (t)
		d->free_at = d->trace_from + trace_after(t, from, bits);
	else
		d->free_at += bits * 1e9 / rate;
	return d->free_at;
}

static bool lost(struct direction *d)
{
	struct random *r = &d->losses;
	d->burst = d->burst ? !chance(r, d->s.burst_out) : chance(r, d->s.burst_in);
	return d->burst || chance(r, d->s.loss);
}

static void schedule(struct direction *d, struct frame *f, int64_t now, bool copy)
{
	struct spec *s = &d->s;
	struct random *r = &d->others;
	if (s->up == 0) {
		d->st.down++;
		frame_put(f);
		return;
	}
	if (!copy && chance(r, s->duplicate)) {
		struct frame *g = frame_get();
		g->len = f->len;
		memcpy(g->data, f->data, f->len);
		d->st.duplicated++;
		schedule(d, g, now, true);
	}
	int64_t due = serialise(d, f->len, now);
	if (due < 0) {
		d->st.overflow++;
		frame_put(f);
		return;
	}
	if (lost(d)) {
		d->st.lost++;
		frame_put(f);
		return;
	}
	if (f->len > ETH_HLEN && chance(r, s->corrupt)) {
		uint32_t bit = rnd(r) * (f->len - ETH_HLEN) * 8;
		f->data[ETH_HLEN + bit / 8] ^= 1 << bit % 8;
		d->st.corrupted++;
	}
	if (chance(r, s->reorder)) {
		d->st.reordered++;
	} else {
		double delay = s->delay + (s->jitter > 0 ? s->jitter * (2 * rnd(r) - 1) : 0);
		if (delay > 0)
			due += delay * 1e3;
		if (s->order != 0 && due < d->last_due)
			due = d->last_due;
		if (due > d->last_due)
			d->last_due = due;
	}
	f->due = due;
	f->number = frames_scheduled++;
	heap_push(d, f);
}

static void receive(struct direction *d)
{
	struct mmsghdr m[BATCH] = { 0 };
	struct iovec v[BATCH];
	for (int i = 0; i < BATCH; i++) {
		if (!d->in[i])
			d->in[i] = frame_get();
		v[i] = (struct iovec){ d->in[i]->data, FRAME_ROOM };
		m[i].msg_hdr.msg_iov = &v[i];
		m[i].msg_hdr.msg_iovlen = 1;
	}
	int n = recvmmsg(d->rx_fd, m, BATCH, MSG_DONTWAIT | MSG_TRUNC, NULL);
	if (n < 0) {
		if (errno == EAGAIN || errno == EINTR || errno == ENETDOWN)
			return;
		die("receive: %s", strerror(errno));
	}
	int64_t now = now_ns();
	for (int i = 0; i < n; i++) {
		struct frame *f = d->in[i];
		d->in[i] = NULL;
		d->st.rx++;
		d->st.rx_bytes += m[i].msg_len;
		if (m[i].msg_len > MAX_FRAME) {
			d->st.oversize++;
			frame_put(f);
			continue;
		}
		f->len = m[i].msg_len;
		schedule(d, f, now, false);
	}
}

static void send_batch(struct direction *d, struct frame **out, int n)
{
	struct mmsghdr m[BATCH] = { 0 };
	struct iovec v[BATCH];
	for (int i = 0; i < n; i++) {
		v[i] = (struct iovec){ out[i]->data, out[i]->len };
		m[i].msg_hdr.msg_iov = &v[i];
		m[i].msg_hdr.msg_iovlen = 1;
	}
	for (int done = 0; done < n;) {
		int r = sendmmsg(d->tx_fd, m + done, n - done, 0);
		if (r <= 0) {	/* ENOBUFS, or the interface is down */
			d->st.send_errors++;
			done++;
			continue;
		}
		for (int i = done; i < done + r; i++)
			d->st.tx_bytes += out[i]->len;
		d->st.tx += r;
		done += r;
	}
}

static void deliver(struct direction *d)
{
	int64_t now = now_ns();
	while (d->n && d->heap[0]->due <= now) {
		struct frame *out[BATCH];
		int n = 0;
		while (n < BATCH && d->n && d->heap[0]->due <= now) {
			struct frame *f = out[n++] = heap_pop(d);
			int64_t late = now - f->due;
			d->st.late_sum += late;
			d->st.late[late < LATE_STEP * LATE_STEPS ? late / LATE_STEP : LATE_STEPS - 1]++;
			if (late > d->st.late_max)
				d->st.late_max = late;
		}
		if (d->s.up == 0)
			d->st.down += n;
		else
			send_batch(d, out, n);
		for (int i = 0; i < n; i++)
			frame_put(out[i]);
	}
}

/* ---- options and commands ---- */

/* Sets the keys in text. If a part makes no sense, sets nothing and returns false. */
static bool parse(struct spec *spec, const char *text)
{
	struct spec s = *spec;
	char copy[1024], *save = NULL;
	if (strlen(text) >= sizeof copy)
		return false;
	strcpy(copy, text);
	for (char *name = strtok_r(copy, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
		char *value = strchr(name, '='), *end;
		const struct key *k = keys, *last = keys + sizeof keys / sizeof *keys;
		if (!value)
			return false;
		*value++ = 0;
		if (!strcmp(name, "trace")) {
			s.trace = *value ? trace_named(value) : NULL;
			if (*value && !s.trace)
				return false;
			continue;
		}
		while (k < last && strcmp(k->name, name))
			k++;
		double x = strtod(value, &end);
		if (k == last || end == value || *end || !(x >= 0 && x <= k->max))
			return false;
		memcpy((char *)&s + k->offset, &x, sizeof x);
	}
	*spec = s;
	return true;
}

static void count_kernel_drops(void)
{
	for (int i = 0; i < 2; i++) {
		struct tpacket_stats ts;
		socklen_t l = sizeof ts;
		if (!getsockopt(directions[i].rx_fd, SOL_PACKET, PACKET_STATISTICS, &ts, &l))
			directions[i].st.kernel_drops += ts.tp_drops;
	}
}

/* The lateness, in us, that one frame of a hundred exceeds; to the step above. */
static uint64_t late_p99(const struct stats *t)
{
	uint64_t all = 0, seen = 0;
	for (int i = 0; i < LATE_STEPS; i++)
		all += t->late[i];
	for (int i = 0; i < LATE_STEPS; i++) {
		seen += t->late[i];
		if (all && seen * 100 >= all * 99)
			return (i + 1) * LATE_STEP / 1000;
	}
	return 0;
}

static void print_stats(void)
{
	int64_t now = now_ns();
	count_kernel_drops();
	for (int i = 0; i < 2; i++) {
		struct direction *d = &directions[i];
		struct stats *t = &d->st;
		const struct { const char *name; uint64_t value; } counters[] = {
			{ "rx", t->rx }, { "rx_bytes", t->rx_bytes }, { "tx", t->tx },
			{ "tx_bytes", t->tx_bytes }, { "lost", t->lost }, { "overflow", t->overflow },
			{ "down", t->down }, { "reordered", t->reordered },
			{ "duplicated", t->duplicated }, { "corrupted", t->corrupted },
			{ "oversize", t->oversize }, { "kernel_drops", t->kernel_drops },
			{ "send_errors", t->send_errors }, { "on_line", d->n },
			{ "queue_us", d->free_at > now ? (d->free_at - now) / 1000 : 0 },
			{ "late_max_us", t->late_max / 1000 },
			{ "late_mean_us", t->tx ? t->late_sum / 1000 / t->tx : 0 },
			{ "late_p99_us", late_p99(t) },
		};
		printf("%s\"%s\": {", i ? ", " : "{", i ? "ba" : "ab");
		for (size_t c = 0; c < sizeof counters / sizeof *counters; c++)
			printf("%s\"%s\": %" PRIu64, c ? ", " : "", counters[c].name, counters[c].value);
		putchar('}');
	}
	puts("}");
}

static void command(const char *line)
{
	char which[8], text[1024];
	if (!strcmp(line, "stats")) {
		print_stats();
	} else if (!strcmp(line, "reset")) {
		count_kernel_drops();
		for (int i = 0; i < 2; i++)
			memset(&directions[i].st, 0, sizeof directions[i].st);
		puts("ok");
	} else if (sscanf(line, "set %7s %1023s", which, text) == 2) {
		bool ab = strcmp(which, "ba"), ba = strcmp(which, "ab");
		if (ab && ba && strcmp(which, "both"))
			puts("error: set ab, ba or both");
		else if ((ab && !parse(&directions[0].s, text)) || (ba && !parse(&directions[1].s, text)))
			puts("error: bad key or value");
		else
			puts("ok");
	} else
		puts("error: unknown command");
	fflush(stdout);
}

/* Runs the commands that have come; false when the input has ended. */
static bool read_commands(void)
{
	static char buf[2048];
	static size_t used;
	ssize_t n = read(STDIN_FILENO, buf + used, sizeof buf - 1 - used);
	if (n <= 0)
		return n < 0 && errno == EINTR;
	used += n;
	buf[used] = 0;
	char *line = buf, *end;
	for (; (end = strchr(line, '\n')); line = end + 1) {
		*end = 0;
		command(line);
	}
	used -= line - buf;
	memmove(buf, line, used);
	if (used == sizeof buf - 1)
		die("command too long");
	return true;
}

static int open_interface(const char *name)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), one = 1, size = PACKET_BUFFER;
	unsigned index = if_nametoindex(name);
	if (fd < 0)
		die("packet socket: %s", strerror(errno));
	if (!index)
		die("no interface %s", name);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one) < 0)
		die("PACKET_IGNORE_OUTGOING: %s", strerror(errno));
	setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one);
	struct packet_mreq mr = { .mr_ifindex = index, .mr_type = PACKET_MR_PROMISC };
	setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mr, sizeof mr);
	struct sockaddr_ll a = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = index };
	if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0)
		die("bind %s: %s", name, strerror(errno));
	return fd;
}

/* How long to wait for input: until the next frame is due, or NULL for ever. */
static struct timespec *time_to_next(struct timespec *t)
{
	int64_t next = INT64_MAX;
	for (int i = 0; i < 2; i++)
		if (directions[i].n && directions[i].heap[0]->due < next)
			next = directions[i].heap[0]->due;
	if (next == INT64_MAX)
		return NULL;
	int64_t wait = next - now_ns();
	*t = (struct timespec){ wait > 0 ? wait / NS : 0, wait > 0 ? wait % NS : 0 };
	return t;
}

static void forward(void)
{
	struct pollfd p[3] = { { directions[0].rx_fd, POLLIN, 0 }, { directions[1].rx_fd, POLLIN, 0 },
		{ STDIN_FILENO, POLLIN, 0 } };
	for (;;) {
		struct timespec t;
		int r = ppoll(p, 3, time_to_next(&t), NULL);
		if (r < 0 && errno != EINTR)
			die("poll: %s", strerror(errno));
		for (int i = 0; i < 2; i++) {
			if (r > 0 && p[i].revents)
				receive(&directions[i]);
			deliver(&directions[i]);
		}
		if (r > 0 && p[2].revents && !read_commands())
			return;
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "ab", required_argument, 0, 'a' }, { "ba", required_argument, 0, 'b' },
		{ "seed", required_argument, 0, 's' }, { "fifo", required_argument, 0, 'f' }, { 0 } };
	int o, fifo = 0;
	uint64_t s = 1;
	for (int i = 0; i < 2; i++)
		directions[i].s = (struct spec){ .queue = 100e3, .burst_out = 1, .order = 1, .up = 1 };
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (o) {
		case 'a':
		case 'b':
			if (!parse(&directions[o == 'b'].s, optarg))
				die("not understood: %s", optarg);
			break;
		case 's': s = strtoull(optarg, NULL, 0); break;
		case 'f': fifo = atoi(optarg); break;
		default: return 2;
		}
	if (argc - optind != 2)
		die("usage: linkemu [--ab SPEC] [--ba SPEC] [--seed N] [--fifo N] IFACE_A IFACE_B");
	for (int i = 0; i < 2; i++) {
		seed(&directions[i].losses, &s);
		seed(&directions[i].others, &s);
	}
	prctl(PR_SET_TIMERSLACK, 1UL);
	struct sched_param priority = { .sched_priority = fifo };
	if (fifo && sched_setscheduler(0, SCHED_FIFO, &priority) < 0)
		fprintf(stderr, "linkemu: no SCHED_FIFO: %s\n", strerror(errno));
	int a = open_interface(argv[optind]), b = open_interface(argv[optind + 1]);
	directions[0].rx_fd = directions[1].tx_fd = a;
	directions[1].rx_fd = directions[0].tx_fd = b;
	puts("ready");
	fflush(stdout);
	forward();
	return 0;
}
