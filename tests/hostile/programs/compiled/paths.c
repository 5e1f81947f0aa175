// Opens, lists and removes what lies outside, with the file functions of C.
// ends: contract
// says: empty
// grant: write
#include <dirent.h>
#include <stdio.h>
#include <unistd.h>
int main(void) {
    const char *names[] = {"/docs/../canary/secret.txt", "../canary/secret.txt", "/docs/link.txt", "/docs/hard.txt", "/docs/folder/secret.txt",
                           "/etc/passwd", "/docs/self/environ", "/docs/pipe", "/docs/device", "/docs//..//canary/secret.txt"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        FILE *file = fopen(names[i], "r+");
        if (file) { printf("{\"opened\": \"%s\"}", names[i]); return 0; }
        if (!unlink(names[i])) { printf("{\"removed\": \"%s\"}", names[i]); return 0; }
    }
    if (symlink("../../canary", "/docs/mine") == 0 && fopen("/docs/mine/secret.txt", "r")) { printf("{\"followed\": 1}"); return 0; }
    unlink("/docs/mine");
    if (opendir("/") && opendir("/docs/..")) printf("{\"listed\": 1}");
    return 0;
}
