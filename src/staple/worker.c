#include "staple/worker.h"
