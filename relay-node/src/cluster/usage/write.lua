-- Writes to one user's usage what one node has to say of it, once.
--
-- KEYS[1]  the user's usage
-- ARGV[1]  which process writes; it has one such call on its way at a time, and repeats it until it is answered
-- ARGV[2]  its number, which grows with each call that is not a repetition
-- ARGV[3]  the user's name, sealed
-- ARGV[4]  for how many seconds usage is kept that nobody adds to
-- ARGV[5]  for how many seconds an allocation is known that nobody tells of
-- then five for each allocation: `live` or `over`, its name, all bytes to peers, all bytes to the client, all
-- milliseconds so far; or `sum`, a number of allocations, and what is to be added for them.
--
-- Fields: `allocations`, `to_peers`, `to_client`, `millis`: the sums; `user`: the name, sealed; `w` and a process: the
-- number of its last call, and when; `@` and an allocation: what the sums have of it, and when that was told.
local key, writer, call = KEYS[1], 'w' .. ARGV[1], tonumber(ARGV[2])
local now = tonumber(redis.call('TIME')[1])

local last = redis.call('HGET', key, writer)
if last and tonumber(string.match(last, '^%d+')) >= call then return 0 end
redis.call('HSET', key, writer, ARGV[2] .. ' ' .. now)

-- Anything else than a number there is none of ours: the call fails, and the caller removes it.
local function add(field, number)
    if number > 0 then redis.call('HINCRBY', key, field, string.format('%.0f', number)) end
end

local begun = 0
for place = 6, #ARGV, 5 do
    local kind, name = ARGV[place], ARGV[place + 1]
    local told = { tonumber(ARGV[place + 2]), tonumber(ARGV[place + 3]), tonumber(ARGV[place + 4]) }
    local had = { 0, 0, 0 }
    if kind == 'sum' then
        add('allocations', tonumber(name))
    else
        local cell = redis.call('HGET', key, '@' .. name)
        if cell then
            local to_peers, to_client, millis = string.match(cell, '^(%d+) (%d+) (%d+) ')
            had = { tonumber(to_peers), tonumber(to_client), tonumber(millis) }
        else
            add('allocations', 1)
            begun = begun + 1
        end
    end
    -- What was told before a crash may be more than what outlived it: that much is not counted again.
    for number = 1, 3 do told[number] = math.max(told[number], had[number]) end
    add('to_peers', told[1] - had[1])
    add('to_client', told[2] - had[2])
    add('millis', told[3] - had[3])
    if kind == 'over' then
        redis.call('HDEL', key, '@' .. name)
    elseif kind == 'live' then
        redis.call('HSET', key, '@' .. name, string.format('%.0f %.0f %.0f %d', told[1], told[2], told[3], now))
    end
end

-- What nodes left that are gone for good: whoever adds one removes more than one of these, if there are many.
if begun > 0 then
    for _, field in ipairs(redis.call('HRANDFIELD', key, 4 + 2 * math.min(begun, 8))) do
        if string.match(field, '^[@w]') then
            local told = string.match(redis.call('HGET', key, field), '(%d+)$')
            if tonumber(told) + tonumber(ARGV[5]) < now then redis.call('HDEL', key, field) end
        end
    end
end

redis.call('HSETNX', key, 'user', ARGV[3])
redis.call('PEXPIRE', key, ARGV[4] * 1000)
return 1
