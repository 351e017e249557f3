export { NoReplier, RequestChannel, RequestFailed, RequestLost, RequestTimeout } from './request_channel.js';
export { ReplyChannel } from './reply_channel.js';
