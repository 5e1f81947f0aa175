// Reads and writes through pointers that it made up.
// ends: trap
int main(void) {
    volatile int *p = (int *)0xfffffff0u;
    *p = 1;
    return *p;
}
