#include "staple/fetch.h"
