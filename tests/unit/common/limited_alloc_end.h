/* Behind the source file under test: the test itself allocates without limit. */
#undef malloc
#undef calloc
#undef realloc
#undef strdup
#undef strndup
