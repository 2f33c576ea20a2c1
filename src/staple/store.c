#include "staple/store.h"
