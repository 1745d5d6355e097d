/* Which release this is, and which build of it. */
#ifndef HW_COMMON_BASE_VERSION_H
#define HW_COMMON_BASE_VERSION_H

/* "0.1.0 build 3f9c..." (static): the release, and the linker's build id of the running program in
 * hexadecimal, by which debuggers find its symbols. Without one "build none". The first call is
 * made before threads start. */
const char *version_text(void);

#endif
