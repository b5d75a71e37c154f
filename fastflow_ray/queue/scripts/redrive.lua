-- dead → queued. Answers 1, or 0: it is not dead.
return redrive(ARGV[1]) and 1 or 0
