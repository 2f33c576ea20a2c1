#include "staple/writer.h"
