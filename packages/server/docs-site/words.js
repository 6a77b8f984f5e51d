const zh = navigator.language.toLowerCase().startsWith('zh');
document.documentElement.lang = zh ? 'zh-CN' : 'en';
export const language = zh ? 'zh' : 'en';

/** English and Chinese. */
const words = {
  rest: ['REST', 'REST 接口'],
  websocket: ['WebSocket', 'WebSocket'],
  raw: ['Document as JSON', 'JSON 文档'],
  filter: ['Filter', '筛选'],
  admin: ['Admins', '客服'],
  user: ['Users', '用户'],
  ops: ['Operators', '运维'],
  open: ['Anybody', '公开'],
  receive: ['Client to server', '客户端 → 服务器'],
  send: ['Server to client', '服务器 → 客户端'],
  alias: ['The same at', '等价地址'],
  token: ['Token needed', '需要令牌'],
  parameters: ['Parameters', '参数'],
  body: ['Body', '请求体'],
  answers: ['Answers', '响应'],
  payload: ['Frame', '帧'],
  replies: ['Answered by', '应答'],
  contract: ['contract', '基础协议'],
  hello: ['additive', '扩展协议'],
  required: ['required', '必填'],
  usually: ['default', '默认'],
  upTo: ['up to {} characters', '最多 {} 个字符'],
  entries: ['up to {} entries', '最多 {} 项'],
  anything: ['anything', '任意'],
  or: ['or', '或'],
  anyKey: ['any key', '任意键'],
  nothing: ['The document cannot be loaded.', '文档无法加载。'],
};

/** A text in the language of the browser. */
export const t = (name, value = '') => (words[name]?.[zh ? 1 : 0] ?? name).replace('{}', value);
