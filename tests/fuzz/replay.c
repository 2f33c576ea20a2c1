/*
 * Replays a fuzz corpus without a fuzzer: every file of every folder given as
 * an argument goes through the target once.  A folder that cannot be read or
 * has no file is a failure, so that a lost corpus is noticed.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { INPUT_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
replay_file(const char *folder, const char *name)
{
	uint8_t *data = malloc(INPUT_MAX), *exact;
	char path[4096];
	FILE *file;
	size_t size;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "rb");
	if (file == NULL || data == NULL) {
		perror(path);
		if (file != NULL)
			fclose(file);
		free(data);
		return false;
	}
	size = fread(data, 1, INPUT_MAX, file);
	fclose(file);
	/* Not a byte more, so that reading behind the end is seen. */
	exact = realloc(data, size > 0 ? size : 1);
	if (exact == NULL) {
		free(data);
		return false;
	}
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	return true;
}

/* Returns how many files went through, -1 on failure. */
static int
replay_folder(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	int count = 0;

	if (dir == NULL) {
		perror(folder);
		return -1;
	}
	while (count >= 0 && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		count = replay_file(folder, entry->d_name) ? count + 1 : -1;
	}
	closedir(dir);
	return count;
}

int
main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		int count = replay_folder(argv[i]);

		printf("%s: %d inputs\n", argv[i], count);
		if (count <= 0)
			return 1;
	}
	return argc > 1 ? 0 : 2;
}
