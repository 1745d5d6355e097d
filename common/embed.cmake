# cmake -DFROM=<file> -DTO=<file.c> -DHEADER=<header> -DNAME=<symbol> -P embed.cmake: a file as a C
# array NAME and its length NAME_bytes.
file(READ ${FROM} bytes HEX)
string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
file(WRITE ${TO} "#include \"${HEADER}\"\n\nconst unsigned char ${NAME}[] = {\n${bytes}\n};\n"
  "const size_t ${NAME}_bytes = sizeof ${NAME};\n")
