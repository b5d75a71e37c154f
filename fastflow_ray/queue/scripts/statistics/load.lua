-- Answers the documents, the sequences, and the revision they are of; changes nothing.
return {redis.call('HGETALL', statistics), redis.call('HGETALL', sequences), redis.call('GET', revision) or '0'}
