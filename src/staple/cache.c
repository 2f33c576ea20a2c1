#include "staple/cache.h"
