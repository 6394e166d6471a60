/* The two peers of a gateway under measurement: a Turbopuffer that answers every write at once, and
   a client that keeps a number of connections busy. One epoll loop each, so cheap that neither is
   what is measured.

     peers stub PORT                              serve until killed
     peers drive PORT CONNECTIONS SECONDS FILE    send the request in FILE over and over; print
                                                  "answers <n> p50 <us> p99 <us> p999 <us>", fail
                                                  on any answer but a 200;
                                                  "########" in its path is a number, each time
                                                  another one
*/
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_MAX = 16384, PIECE = 262144, CONNECTIONS_MAX = 4096 };

static const char BODY[] =
    "{\"status\":\"OK\",\"message\":\"ok\",\"rows_affected\":1,"
    "\"billing\":{\"billable_logical_bytes_written\":1024}}";

struct peer {
    int fd;
    size_t head_size; /* bytes of a head that is not complete */
    long missing;     /* bytes of body still to come; -1 while in a head */
    size_t sent;      /* driver: bytes of the request that were taken */
    double begun_s;   /* driver: when the request was begun */
    char head[HEAD_MAX];
};

static char piece[PIECE];

static void die(const char *what) {
    perror(what);
    exit(1);
}

static long content_length(const char *head) {
    const char *found = strcasestr(head, "\r\ncontent-length:");
    return found ? atol(found + 17) : 0;
}

/* Take bytes that were read; give the number of messages that became complete. */
static int take(struct peer *peer, const char *data, size_t size, int want_200) {
    int complete = 0;
    while (size > 0) {
        if (peer->missing < 0) {
            size_t room = HEAD_MAX - 1 - peer->head_size, before = peer->head_size;
            size_t copied = size < room ? size : room;
            memcpy(peer->head + before, data, copied);
            peer->head[before + copied] = 0;
            char *end = strstr(peer->head, "\r\n\r\n");
            if (!end) {
                if (copied < size) die("head too large");
                peer->head_size += copied;
                return complete;
            }
            if (want_200 && strncmp(peer->head, "HTTP/1.1 200", 12) != 0) {
                fprintf(stderr, "%.300s\n", peer->head);
                exit(1);
            }
            end[2] = 0;
            peer->missing = content_length(peer->head);
            size_t used = (size_t)(end + 4 - peer->head) - before;
            data += used;
            size -= used;
            peer->head_size = 0;
        }
        size_t body = size < (size_t)peer->missing ? size : (size_t)peer->missing;
        peer->missing -= (long)body;
        data += body;
        size -= body;
        if (peer->missing == 0) {
            peer->missing = -1;
            complete++;
        }
    }
    return complete;
}

static struct peer *watch(int epoll, int fd, unsigned events) {
    struct peer *peer = calloc(1, sizeof *peer);
    if (!peer) die("calloc");
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    peer->fd = fd;
    peer->missing = -1;
    struct epoll_event event = {.events = events, .data.ptr = peer};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl");
    return peer;
}

static struct sockaddr_in loopback(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static void stub(int port) {
    char answer[1024];
    int size = snprintf(answer, sizeof answer,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
        "X-Request-Id: 0123456789abcdef0123456789abcdef\r\nServer-Timing: total;dur=1.25\r\n"
        "Cache-Control: no-store\r\nVary: Accept-Encoding\r\nVia: 1.1 lb\r\n"
        "Alt-Svc: h3=\":443\"; ma=2592000\r\nContent-Length: %zu\r\n\r\n%s", strlen(BODY), BODY);
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1, epoll = epoll_create1(0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in address = loopback(port);
    if (bind(listener, (struct sockaddr *)&address, sizeof address)) die("bind");
    if (listen(listener, 1024)) die("listen");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[256];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < count; i++) {
            struct peer *peer = events[i].data.ptr;
            if (!peer) {
                int fd = accept(listener, NULL, NULL);
                if (fd >= 0) watch(epoll, fd, EPOLLIN);
                continue;
            }
            ssize_t got = read(peer->fd, piece, PIECE);
            if (got < 0 && errno == EAGAIN) continue;
            if (got <= 0) {
                close(peer->fd);
                free(peer);
                continue;
            }
            for (int n = take(peer, piece, (size_t)got, 0); n > 0; n--)
                if (write(peer->fd, answer, (size_t)size) != size) die("write");
        }
    }
}

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Answers by the microseconds they took; the last counts all that took longer. */
enum { TOOK_MAX_US = 10000000 };
static unsigned took[TOOK_MAX_US + 1];

static void count_took(double seconds) {
    double us = seconds * 1e6;
    took[us < TOOK_MAX_US ? (int)us : TOOK_MAX_US]++;
}

static int percentile_us(long answers, double share) {
    long seen = 0;
    for (int us = 0; us <= TOOK_MAX_US; us++) {
        seen += took[us];
        if ((double)seen >= share * (double)answers) return us;
    }
    return TOOK_MAX_US;
}

/* Where the number of a request stands, if it has one. What follows it may still be on its way for
   other connections, the number itself never is: it is among the first bytes. */
static char *number;

static void push(int epoll, struct peer *peer, const char *request, size_t size) {
    static unsigned long numbers;
    char digits[9];
    if (peer->sent == 0) peer->begun_s = now_s();
    if (number && peer->sent == 0) {
        snprintf(digits, sizeof digits, "%08lu", numbers++ % 100000000);
        memcpy(number, digits, 8);
    }
    while (peer->sent < size) {
        ssize_t sent = write(peer->fd, request + peer->sent, size - peer->sent);
        if (sent < 0 && errno != EAGAIN) die("write");
        if (sent < 0) break;
        peer->sent += (size_t)sent;
    }
    unsigned events = EPOLLIN | (peer->sent < size ? EPOLLOUT : 0);
    static unsigned char watched[CONNECTIONS_MAX * 4];
    if (watched[peer->fd] == (peer->sent < size)) return;
    watched[peer->fd] = peer->sent < size;
    struct epoll_event event = {.events = events, .data.ptr = peer};
    epoll_ctl(epoll, EPOLL_CTL_MOD, peer->fd, &event);
}

static int drive(int port, int connections, double seconds, const char *path) {
    int file = open(path, O_RDONLY), epoll = epoll_create1(0);
    struct stat status;
    if (file < 0 || fstat(file, &status)) die(path);
    size_t size = (size_t)status.st_size;
    char *request = malloc(size);
    for (size_t got = 0; got < size;) {
        ssize_t more = read(file, request + got, size - got);
        if (more <= 0) die(path);
        got += (size_t)more;
    }
    number = memmem(request, size < 1024 ? size : 1024, "########", 8);
    struct sockaddr_in address = loopback(port);
    double end = now_s() + seconds;
    for (int i = 0; i < connections; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof address)) die("connect");
        push(epoll, watch(epoll, fd, EPOLLIN), request, size);
    }
    struct epoll_event events[256];
    long answers = 0;
    int busy = connections;
    while (busy > 0) {
        int count = epoll_wait(epoll, events, 256, 10000);
        if (count <= 0) die("no answer for 10 s");
        for (int i = 0; i < count; i++) {
            struct peer *peer = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) push(epoll, peer, request, size);
            if (!(events[i].events & ~(unsigned)EPOLLOUT)) continue;
            ssize_t got = read(peer->fd, piece, PIECE);
            if (got < 0 && errno == EAGAIN) continue;
            if (got <= 0) die("closed");
            if (take(peer, piece, (size_t)got, 1) == 0) continue;
            answers++;
            peer->sent = 0;
            count_took(now_s() - peer->begun_s);
            if (now_s() < end) push(epoll, peer, request, size);
            else busy--;
        }
    }
    printf("answers %ld p50 %d p99 %d p999 %d\n", answers, percentile_us(answers, 0.5),
           percentile_us(answers, 0.99), percentile_us(answers, 0.999));
    return 0;
}

int main(int count, char **words) {
    if (count == 3 && !strcmp(words[1], "stub")) stub(atoi(words[2]));
    if (count == 6 && !strcmp(words[1], "drive") && atoi(words[3]) <= CONNECTIONS_MAX)
        return drive(atoi(words[2]), atoi(words[3]), atof(words[4]), words[5]);
    fprintf(stderr, "peers stub PORT | peers drive PORT CONNECTIONS SECONDS FILE\n");
    return 2;
}
