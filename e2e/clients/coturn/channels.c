// Bookworm's turnutils_uclient draws channel numbers from 0x4000-0x7FFF, while RFC 8656 section 12 ends at
// 0x4FFF. Loaded in front of OpenSSL, this clears the two bits in question, so that every number is allowed.
#define _GNU_SOURCE
#include <dlfcn.h>

int RAND_bytes(unsigned char *bytes, int count) {
    int (*openssl)(unsigned char *, int) = dlsym(RTLD_NEXT, "RAND_bytes");
    int done = openssl(bytes, count);
    // turn_random() asks for a long; its remainder by 0x4000 is the channel's.
    if (count == sizeof(long)) bytes[1] &= 0x0F;
    return done;
}
